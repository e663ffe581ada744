/**
 * How a request that may succeed later is tried again. There is one policy, in one place: nothing else retries.
 *
 * | answer | tried again |
 * |---|---|
 * | no answer: connection, timeout; 408, 429, 5xx | yes |
 * | 400 without a body (an edge proxy's) | yes, 16 times more often than requests succeed |
 * | 402 | after 5 s, for as long as the service's flags say |
 * | 409 and every other status | no: the same request would get the same answer |
 * | any, with `x-should-retry` | as that says |
 *
 * @since 0.1.0
 */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import { millis } from "./internal/util/millis.ts"

/**
 * Delays double from `first` up to `cap`, each shortened by up to a quarter at random; a wait that the server asks for
 * replaces the delay. No attempt starts once `total` has passed since the first failure.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryPolicy {
  readonly first: Duration.DurationInput
  readonly cap: Duration.DurationInput
  readonly total: Duration.DurationInput
  /** of one attempt */
  readonly timeout: Duration.DurationInput
  /** waits a 402 out, which takes nothing from `total` */
  readonly billingPause: boolean
  /** whether a failure is worth another attempt; the table of this module by default */
  readonly isRetryable?: ((error: TinkerError.TinkerError) => boolean) | undefined
}

/**
 * The default: 0.5 s doubling up to 10 s, for five minutes, 60 s an attempt.
 *
 * @since 0.1.0
 * @category constants
 */
export const standard: RetryPolicy = {
  first: "500 millis",
  cap: "10 seconds",
  total: "5 minutes",
  timeout: "60 seconds",
  billingPause: true
}

/**
 * One attempt, and no other; a 402 is still waited out.
 *
 * @since 0.1.0
 * @category constants
 */
export const never: RetryPolicy = { ...standard, total: 0 }

/**
 * The policy of the current call tree. It is read when an operation is called.
 *
 * @since 0.1.0
 * @category references
 */
export class CurrentRetryPolicy extends Context.Reference<CurrentRetryPolicy>()(
  "@effect-tinker/client/CurrentRetryPolicy",
  { defaultValue: () => standard }
) {}

/**
 * Uses another policy, or parts of one, in an effect.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withRetryPolicy: {
  (policy: Partial<RetryPolicy>): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, policy: Partial<RetryPolicy>): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, policy: Partial<RetryPolicy>) =>
  Effect.flatMap(CurrentRetryPolicy, (current) =>
    Effect.provideService(self, CurrentRetryPolicy, { ...current, ...policy })
  )
)

// however little a server asks for, it is not asked again at once
const floor = Duration.millis(10)

/** Delays that grow from `first` to `cap`, jittered, where a server's own wish wins. @internal */
export const backoff = (first: Duration.DurationInput, cap: Duration.DurationInput) =>
  Schedule.exponential(first).pipe(
    Schedule.union(Schedule.spaced(cap)),
    Schedule.jitteredWith({ min: 0.75, max: 1 }),
    Schedule.intersect(Schedule.identity<TinkerError.TinkerError>()),
    Schedule.modifyDelay(([, error], delay) =>
      error.retryAfter === undefined ? delay : Duration.max(error.retryAfter, floor)
    )
  )

/** The same delay before attempt number `count`, in whole milliseconds, where a loop is cheaper than a schedule. @internal */
export const jittered = (firstMillis: number, capMillis: number, count: number): Effect.Effect<number> =>
  Effect.map(Random.next, (random) =>
    Math.ceil(Math.min(firstMillis * 2 ** Math.min(count, 20), capMillis) * (1 - random / 4))
  )

/**
 * Sends a request that is known by its number again when its answer could not be read: it was accepted, and is answered
 * the same again.
 *
 * @internal
 */
export const retryUnreadable = <A, R>(
  self: Effect.Effect<A, TinkerError.TinkerError, R>
): Effect.Effect<A, TinkerError.TinkerError, R> =>
  Effect.retry(self, {
    times: 3,
    schedule: backoff("500 millis", "10 seconds"),
    while: (error) => error._tag === "DecodeError"
  })

/**
 * The policy as a schedule over failures: it ends when no further attempt is due.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toSchedule = (policy: RetryPolicy): Schedule.Schedule<TinkerError.TinkerError, TinkerError.TinkerError> =>
  backoff(policy.first, policy.cap).pipe(
    Schedule.map(([, error]) => error),
    Schedule.upTo(policy.total),
    Schedule.whileInput((error: TinkerError.TinkerError) => policy.isRetryable?.(error) ?? error.isRetryable)
  )

/**
 * Applies a policy to one request. `onRetry` runs when another attempt is due, before the wait for it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply =
  (policy: RetryPolicy, onRetry?: (error: TinkerError.TinkerError) => Effect.Effect<void>) =>
  <A, R>(self: Effect.Effect<A, TinkerError.TinkerError, R>): Effect.Effect<A, TinkerError.TinkerError, R> => {
    if (millis(policy.total) === 0) return self
    // most requests succeed at once, and need no schedule
    return Effect.catchAll(self, (first) => {
      if (!(policy.isRetryable?.(first) ?? first.isRetryable)) return Effect.fail(first)
      let failed = false
      const schedule = toSchedule(policy)
      return Effect.retry(
        Effect.suspend(() => {
          if (failed) return self
          failed = true
          return Effect.fail(first)
        }),
        onRetry === undefined
          ? schedule
          : Schedule.onDecision(schedule, (error, decision) =>
              ScheduleDecision.isContinue(decision) ? onRetry(error) : Effect.void
            )
      )
    })
  }
