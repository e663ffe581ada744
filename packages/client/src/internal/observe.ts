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
import type { Pass } from "./budget.ts"
import * as keys from "./metricKeys.ts"

/** What is counted while an operation is under way. @internal */
export interface Running {
  readonly span: Tracer.Span
  polls: number
  retries: number
  bytes: number
  requestId: string | undefined
  /** a lost answer, whatever became of its request */
  readonly retried: () => void
  /** what is left at the end of the operation, whatever that is */
  readonly held: Array<Pass>
  /** that of the operation's fiber */
  readonly clock: Clock.Clock
  /** the service has accepted the operation: it has its number, and will run */
  readonly accepted: () => void
  /** ends the span and counts; once */
  readonly end: (exit: Exit.Exit<unknown, unknown>, attributes?: Attributes) => void
}

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

const begin = (
  operation: string,
  span: Tracer.Span,
  clock: Clock.Clock,
  tags: ReadonlyArray<MetricLabel.MetricLabel>
) => {
  const metrics = metricsFor(operation)
  const startTime = span.status.startTime
  let queued: number | undefined
  let ended = false
  const running: Running = {
    span,
    polls: 0,
    retries: 0,
    bytes: 0,
    requestId: undefined,
    held: [],
    retried: () => {
      running.retries++
    },
    clock,
    accepted: () => {
      queued ??= seconds(clock.unsafeCurrentTimeNanos() - startTime)
      metrics.queueTime.unsafeUpdate(queued, tags)
    },
    end: (exit, more) => {
      if (ended) return
      ended = true
      const now = clock.unsafeCurrentTimeNanos()
      if (more !== undefined) for (const name in more) span.attribute(name, more[name])
      span.attribute("tinker.polls", running.polls)
      span.attribute("tinker.retries", running.retries)
      if (running.bytes > 0) span.attribute("tinker.bytes", running.bytes)
      if (running.requestId !== undefined) span.attribute("tinker.request_id", running.requestId)
      if (queued !== undefined) span.attribute("tinker.queue_seconds", queued)
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
      metrics.polls.unsafeUpdate(running.polls, tags)
      if (running.retries > 0) metrics.retries.unsafeUpdate(running.retries, tags)
    }
  }
  metrics.inFlight.unsafeModify(1, tags)
  return running
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
      return then(begin(operation, span, clock, fiber.getFiberRef(FiberRef.currentMetricLabels)))
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
    beginning(name, attributes, (running) =>
      Effect.flatMap(Effect.exit(restore(Effect.suspend(() => use(running)))), (exit) => {
        for (const pass of running.held) pass.leave()
        running.end(exit)
        return Exit.isFailure(exit) && isGivenUp(exit.cause) ? Effect.zipRight(onGivenUp(running), exit) : exit
      })
    )
  )

/** Runs an operation under its span, to its end. @internal */
export const operation = <A, E, R>(
  name: string,
  attributes: Attributes,
  use: (running: Running) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => lean(name, attributes, (running) => Effect.withParentSpan(use(running), running.span))
