import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"
import type * as Tracer from "effect/Tracer"
import * as keys from "./metricKeys.ts"
import type { Releasable } from "../transport/exchange.ts"

type Attributes = { readonly [name: string]: unknown }

const metricsOf = (operation: string) => {
  const of = <Type extends MetricKeyType.MetricKeyType.Untyped>(
    key: MetricKey.MetricKey<Type>,
    ...tags: ReadonlyArray<MetricLabel.MetricLabel>
  ) => Metric.fromMetricKey(MetricKey.taggedWithLabels(key, [MetricLabel.make("operation", operation), ...tags]))
  const outcome = (name: string) => of(keys.operations, MetricLabel.make("outcome", name))
  return {
    success: outcome("success"),
    failure: outcome("failure"),
    interrupted: outcome("interrupted"),
    failedWith: (tag: string) => of(keys.failures, MetricLabel.make("error", tag)),
    polls: of(keys.polls),
    retries: of(keys.retries),
    inFlight: of(keys.inFlight),
    duration: of(keys.duration),
    queueTime: of(keys.queueTime)
  }
}

const known = new Map<string, ReturnType<typeof metricsOf>>()

const metricsFor = (operation: string) => {
  let metrics = known.get(operation)
  if (metrics === undefined) {
    metrics = metricsOf(operation)
    known.set(operation, metrics)
  }
  return metrics
}

const seconds = (nanos: bigint) => Number(nanos) / 1e9

/** What is counted while an operation is under way, and what it holds. @internal */
export class Running {
  readonly span: Tracer.Span
  /** that of the operation's fiber */
  readonly clock: Clock.Clock
  polls = 0
  retries = 0
  bytes = 0
  requestId: string | undefined = undefined
  // these are left at the end of the operation, whatever that is
  /** among those that are under way at once */
  place: Releasable | undefined = undefined
  /** among those that are being submitted at once */
  submission: Releasable | undefined = undefined
  /** the request that is under way, where the operation holds one */
  request: Releasable | undefined = undefined
  readonly #metrics: ReturnType<typeof metricsOf>
  readonly #tags: ReadonlyArray<MetricLabel.MetricLabel>
  #queued: number | undefined = undefined
  #ended = false

  constructor(operation: string, span: Tracer.Span, clock: Clock.Clock, tags: ReadonlyArray<MetricLabel.MetricLabel>) {
    this.span = span
    this.clock = clock
    this.#metrics = metricsFor(operation)
    this.#tags = tags
    this.#metrics.inFlight.unsafeModify(1, tags)
  }

  /** a lost answer, whatever became of its request */
  retried(): void {
    this.retries++
  }

  /** the service has accepted the operation: it has its number, and will run */
  accepted(): void {
    this.#queued ??= seconds(this.clock.unsafeCurrentTimeNanos() - this.span.status.startTime)
    this.#metrics.queueTime.unsafeUpdate(this.#queued, this.#tags)
  }

  leave(): void {
    this.request?.release()
    this.submission?.release()
    this.place?.release()
  }

  /** ends the span and counts; once */
  end(exit: Exit.Exit<unknown, unknown>, more?: Attributes): void {
    if (this.#ended) return
    this.#ended = true
    const { clock, span } = this
    const metrics = this.#metrics
    const tags = this.#tags
    const now = clock.unsafeCurrentTimeNanos()
    const { startTime } = span.status
    if (more !== undefined) for (const name in more) span.attribute(name, more[name])
    span.attribute("tinker.polls", this.polls)
    span.attribute("tinker.retries", this.retries)
    if (this.bytes > 0) span.attribute("tinker.bytes", this.bytes)
    if (this.requestId !== undefined) span.attribute("tinker.request_id", this.requestId)
    if (this.#queued !== undefined) span.attribute("tinker.queue_seconds", this.#queued)
    span.end(now, exit)
    if (Exit.isSuccess(exit)) {
      metrics.success.unsafeUpdate(1, tags)
    } else if (Cause.isInterruptedOnly(exit.cause)) {
      metrics.interrupted.unsafeUpdate(1, tags)
    } else {
      metrics.failure.unsafeUpdate(1, tags)
      metrics.failedWith(tagOf(Cause.squash(exit.cause))).unsafeUpdate(1, tags)
    }
    metrics.inFlight.unsafeModify(-1, tags)
    metrics.duration.unsafeUpdate(seconds(now - startTime), tags)
    metrics.polls.unsafeUpdate(this.polls, tags)
    if (this.retries > 0) metrics.retries.unsafeUpdate(this.retries, tags)
  }
}

const beginning = <A, E, R>(
  operation: string,
  attributes: Attributes,
  then: (running: Running) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  // where a span is made is known: here
  Effect.flatMap(Effect.makeSpan(operation, { attributes, kind: "client", captureStackTrace: false }), (span) =>
    Effect.withFiberRuntime((fiber) => {
      const clock = Context.get(fiber.getFiberRef(DefaultServices.currentServices), Clock.Clock)
      return then(new Running(operation, span, clock, fiber.getFiberRef(FiberRef.currentMetricLabels)))
    })
  )

/**
 * Begins the span and the figures of one operation, from its call to its end. The span is a child of the caller's.
 *
 * @internal
 */
export const start = (operation: string, attributes: Attributes): Effect.Effect<Running> =>
  beginning(operation, attributes, Effect.succeed)

const isGivenUp = (cause: Cause.Cause<unknown>) =>
  Cause.isInterrupted(cause) || tagOf(Cause.squash(cause)) === "NoProgress"

const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : "Defect"

/**
 * Runs an operation to its end, without its span as the parent of what runs: where thousands are under way, only what may
 * look for a parent is given one.
 *
 * @internal
 */
export const lean = <A, E, R>(
  name: string,
  attributes: Attributes,
  use: (running: Running) => Effect.Effect<A, E, R>,
  /** after it ended without an answer from the service, which may be at work still */
  onGivenUp: (running: Running) => Effect.Effect<unknown> = () => Effect.void
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    beginning(name, attributes, (running) => {
      const ended = (exit: Exit.Exit<A, E>): Effect.Effect<A, E, R> => {
        running.leave()
        running.end(exit)
        return Exit.isFailure(exit) && isGivenUp(exit.cause) ? Effect.zipRight(onGivenUp(running), exit) : exit
      }
      return Effect.matchCauseEffect(restore(Effect.suspend(() => use(running))), {
        onFailure: (cause) => ended(Exit.failCause(cause)),
        onSuccess: (value) => ended(Exit.succeed(value))
      })
    })
  )

/** Runs an operation under its span, to its end. @internal */
export const operation = <A, E, R>(
  name: string,
  attributes: Attributes,
  use: (running: Running) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => lean(name, attributes, (running) => Effect.withParentSpan(use(running), running.span))
