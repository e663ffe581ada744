/** Spans and metrics of operations, from the call of each to its end. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as MetricLabel from "effect/MetricLabel"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { clockOf, metricLabelsOf, withCaller } from "../effect/runtime.ts"
import type { Usage } from "./usage.ts"
import type { Releasable } from "../util/releasable.ts"
import { metricsFor, type OperationMetrics } from "./metricKeys.ts"

type Attributes = { readonly [name: string]: unknown }

const seconds = (nanos: bigint) => Number(nanos) / 1e9

const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : "Defect"

/** The span and the counts of one operation, and what it must release at its end. @internal */
export class OperationRecord {
  readonly span: Tracer.Span
  /** that of the operation's fiber */
  readonly clock: Clock.Clock
  polls = 0
  retries = 0
  bytes = 0
  /** the tokens of the operation, if it has any */
  usage: Usage | undefined = undefined
  requestId: string | undefined = undefined
  /** what submits it once more, under the same number, for its request id if the response to the submission was lost */
  submitted: { readonly resend: Effect.Effect<string, TinkerError.TinkerError> } | undefined = undefined
  // released at the end of the operation, however it ends
  /** its permit to be in flight */
  place: Releasable | undefined = undefined
  /** its permits to be submitted */
  submission: Releasable | undefined = undefined
  /** the request that is in flight on callbacks */
  request: Releasable | undefined = undefined
  readonly #metrics: OperationMetrics
  readonly #tags: ReadonlyArray<MetricLabel.MetricLabel>
  #queueSeconds: number | undefined = undefined
  #hasEnded = false

  constructor(operation: string, span: Tracer.Span, clock: Clock.Clock, tags: ReadonlyArray<MetricLabel.MetricLabel>) {
    this.span = span
    this.clock = clock
    this.#metrics = metricsFor(operation)
    this.#tags = tags
    this.#metrics.inFlight.unsafeModify(1, tags)
  }

  /** An attempt of a request failed. */
  noteRetry(): void {
    this.retries++
    this.span.event("tinker.retry", this.clock.unsafeCurrentTimeNanos(), { "tinker.retries": this.retries })
  }

  /** A poll for the result is sent. Returns how many were sent before it. */
  notePoll(): number {
    if (this.polls > 0) {
      this.span.event("tinker.poll", this.clock.unsafeCurrentTimeNanos(), { "tinker.polls": this.polls })
    }
    return this.polls++
  }

  /** The service has accepted the submission. */
  noteAccepted(): void {
    this.#queueSeconds ??= seconds(this.clock.unsafeCurrentTimeNanos() - this.span.status.startTime)
    this.#metrics.queueTime.unsafeUpdate(this.#queueSeconds, this.#tags)
  }

  release(): void {
    this.request?.release()
    this.submission?.release()
    this.place?.release()
  }

  /** Ends the span, and updates the metrics; once. */
  end(exit: Exit.Exit<unknown, unknown>, attributes?: Attributes): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const now = this.clock.unsafeCurrentTimeNanos()
    this.#endSpan(now, exit, attributes)
    this.#countOutcome(exit)
    const metrics = this.#metrics
    const tags = this.#tags
    metrics.inFlight.unsafeModify(-1, tags)
    metrics.duration.unsafeUpdate(seconds(now - this.span.status.startTime), tags)
    this.usage?.count(seconds(now - this.span.status.startTime), tags)
    metrics.polls.unsafeUpdate(this.polls, tags)
    if (this.retries > 0) metrics.retries.unsafeUpdate(this.retries, tags)
  }

  #endSpan(now: bigint, exit: Exit.Exit<unknown, unknown>, attributes: Attributes | undefined): void {
    const { span } = this
    if (attributes !== undefined) for (const name in attributes) span.attribute(name, attributes[name])
    span.attribute("tinker.polls", this.polls)
    span.attribute("tinker.retries", this.retries)
    span.attribute("tinker.outcome", outcomeOf(exit))
    this.usage?.describe(span)
    if (this.bytes > 0) span.attribute("tinker.bytes", this.bytes)
    if (this.requestId !== undefined) span.attribute("tinker.request_id", this.requestId)
    if (this.#queueSeconds !== undefined) span.attribute("tinker.queue_seconds", this.#queueSeconds)
    span.end(now, exit)
  }

  #countOutcome(exit: Exit.Exit<unknown, unknown>): void {
    const metrics = this.#metrics
    const tags = this.#tags
    const outcome = outcomeOf(exit)
    metrics[outcome].unsafeUpdate(1, tags)
    if (outcome === "failure" && Exit.isFailure(exit)) {
      metrics.failedWith(tagOf(Cause.squash(exit.cause))).unsafeUpdate(1, tags)
    }
  }
}

/** Backends show an interruption as an error, or not at all. */
const outcomeOf = (exit: Exit.Exit<unknown, unknown>): "success" | "failure" | "interrupted" => {
  if (Exit.isSuccess(exit)) return "success"
  return Cause.isInterruptedOnly(exit.cause) ? "interrupted" : "failure"
}

const withRecord = <A, E, R>(
  operation: string,
  attributes: Attributes,
  use: (record: OperationRecord) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  // no stack trace: every span is made here
  Effect.flatMap(Effect.makeSpan(operation, { attributes, kind: "client", captureStackTrace: false }), (span) =>
    withCaller((caller) => use(new OperationRecord(operation, span, clockOf(caller), metricLabelsOf(caller))))
  )

/** Starts the record of an operation. Its span is a child of the caller's. @internal */
export const startRecord = (operation: string, attributes: Attributes): Effect.Effect<OperationRecord> =>
  withRecord(operation, attributes, Effect.succeed)

/** Gives an operation that fails before it has a record one that says so. @internal */
export const recordRejection =
  (name: string, attributes: Attributes) =>
  <A, E extends { readonly method: string }, R>(submitted: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.tapError(submitted, (error) =>
      Effect.map(startRecord(`${name}.${error.method}`, attributes), (record) => record.end(Exit.fail(error)))
    )

/** The operation ended without a response of the service, which may still work on it. */
const isAbandoned = (cause: Cause.Cause<unknown>) =>
  Cause.isInterrupted(cause) || tagOf(Cause.squash(cause)) === "NoProgress"

/**
 * Runs an operation with a record. Its span is not the current span, which would cost too much where thousands are in
 * flight: what makes child spans is given the parent.
 *
 * @internal
 */
export const instrumentDetached = <A, E, R>(
  name: string,
  attributes: Attributes,
  use: (record: OperationRecord) => Effect.Effect<A, E, R>,
  onAbandoned: (record: OperationRecord) => Effect.Effect<unknown> = () => Effect.void
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    withRecord(name, attributes, (record) => {
      const ended = (exit: Exit.Exit<A, E>): Effect.Effect<A, E, R> => {
        record.release()
        record.end(exit)
        return Exit.isFailure(exit) && isAbandoned(exit.cause) ? Effect.flatMap(onAbandoned(record), () => exit) : exit
      }
      return Effect.matchCauseEffect(restore(Effect.suspend(() => use(record))), {
        onFailure: (cause) => ended(Exit.failCause(cause)),
        onSuccess: (value) => ended(Exit.succeed(value))
      })
    })
  )

/** Runs an operation whose result is a stream with a record, under its span: from the first pull to the end, however it ends. */
export const instrumentStream = <A, E, R>(
  name: string,
  attributes: Attributes,
  use: (record: OperationRecord) => Stream.Stream<A, E, R>
): Stream.Stream<A, E, R> =>
  Stream.unwrapScoped(
    Effect.map(
      Effect.acquireRelease(startRecord(name, attributes), (record, exit) => Effect.sync(() => record.end(exit))),
      (record) =>
        Stream.suspend(() => use(record)).pipe(
          Stream.tapErrorCause((cause) => Effect.sync(() => record.end(Exit.failCause(cause)))),
          Stream.provideService(Tracer.ParentSpan, record.span)
        ) as Stream.Stream<A, E, R>
    )
  )

/** Runs an operation with a record, under its span. @internal */
export const instrument = <A, E, R>(
  name: string,
  attributes: Attributes,
  use: (record: OperationRecord) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  instrumentDetached(name, attributes, (record) => Effect.withParentSpan(use(record), record.span))
