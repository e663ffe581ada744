import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type * as Tracer from "effect/Tracer"
import * as ClientMetrics from "../ClientMetrics.ts"

/** What is counted while an operation is under way. @internal */
export interface Running {
  readonly span: Tracer.Span
  polls: number
  retries: number
  bytes: number
  requestId: string | undefined
  /** a lost answer, whatever became of its request */
  readonly retried: () => void
  /** the service has accepted the operation: it has its number, and will run */
  readonly accepted: Effect.Effect<void>
  /** ends the span and counts; once */
  readonly end: (exit: Exit.Exit<unknown, unknown>, attributes?: Attributes) => Effect.Effect<void>
}

type Attributes = { readonly [name: string]: unknown }

const metricsOf = (operation: string) => {
  const of = <T, I, O>(metric: Metric.Metric<T, I, O>) => Metric.tagged(metric, "operation", operation)
  const operations = of(ClientMetrics.operations)
  const failures = of(ClientMetrics.failures)
  return {
    success: Metric.tagged(operations, "outcome", "success"),
    failure: Metric.tagged(operations, "outcome", "failure"),
    interrupted: Metric.tagged(operations, "outcome", "interrupted"),
    failedWith: (tag: string) => Metric.tagged(failures, "error", tag),
    polls: of(ClientMetrics.polls),
    retries: of(ClientMetrics.retries),
    inFlight: of(ClientMetrics.inFlight),
    duration: of(ClientMetrics.duration),
    queueTime: of(ClientMetrics.queueTime)
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

// a test clock that stands between two nanoseconds has no whole number of them to give otherwise
const nowNanos = Clock.clockWith((clock) => Effect.sync(() => clock.unsafeCurrentTimeNanos()))

const seconds = (nanos: bigint) => Number(nanos) / 1e9

/**
 * Begins the span and the figures of one operation, from its call to its end. The span is a child of the caller's.
 *
 * @internal
 */
export const start = (operation: string, attributes: Attributes): Effect.Effect<Running> =>
  Effect.flatMap(Effect.makeSpan(operation, { attributes, kind: "client" }), (span) => {
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
      retried: () => {
        running.retries++
      },
      accepted: Effect.flatMap(nowNanos, (now) => {
        queued ??= seconds(now - startTime)
        return Metric.update(metrics.queueTime, queued)
      }),
      end: (exit, more) =>
        Effect.suspend(() => {
          if (ended) return Effect.void
          ended = true
          return Effect.flatMap(nowNanos, (now) => {
            for (const [name, value] of Object.entries(more ?? {})) span.attribute(name, value)
            span.attribute("tinker.polls", running.polls)
            span.attribute("tinker.retries", running.retries)
            if (running.bytes > 0) span.attribute("tinker.bytes", running.bytes)
            if (running.requestId !== undefined) span.attribute("tinker.request_id", running.requestId)
            if (queued !== undefined) span.attribute("tinker.queue_seconds", queued)
            span.end(now, exit)
            const outcome = Exit.isSuccess(exit)
              ? Metric.increment(metrics.success)
              : Cause.isInterruptedOnly(exit.cause)
                ? Metric.increment(metrics.interrupted)
                : Effect.zipRight(
                    Metric.increment(metrics.failure),
                    Metric.increment(metrics.failedWith(tagOf(Cause.squash(exit.cause))))
                  )
            return outcome.pipe(
              Effect.zipRight(Metric.modify(metrics.inFlight, -1)),
              Effect.zipRight(Metric.update(metrics.duration, seconds(now - startTime))),
              Effect.zipRight(Metric.incrementBy(metrics.polls, running.polls)),
              Effect.zipRight(
                running.retries === 0 ? Effect.void : Metric.incrementBy(metrics.retries, running.retries)
              )
            )
          })
        })
    }
    return Effect.as(Metric.modify(metrics.inFlight, 1), running)
  })

const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : "Defect"

/** Runs an operation under its span, to its end. @internal */
export const operation = <A, E, R>(
  name: string,
  attributes: Attributes,
  use: (running: Running) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(start(name, attributes), (running) =>
      restore(use(running)).pipe(
        Effect.withParentSpan(running.span),
        Effect.onExit((exit) => running.end(exit))
      )
    )
  )
