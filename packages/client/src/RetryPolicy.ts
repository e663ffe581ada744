/**
 * How a request that may succeed later is tried again. There is one policy, in one place: nothing else retries.
 *
 * @since 0.1.0
 */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Schedule from "effect/Schedule"

/**
 * Delays double from `first` up to `cap`, each shortened by up to a quarter at random; a wait that the server asks for
 * replaces the delay. No attempt starts once `total` has passed.
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
  timeout: "60 seconds"
}

/**
 * One attempt, and no other.
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

/** Delays that grow from `first` to `cap`, jittered, where a server's own wish wins. @internal */
export const backoff = (first: Duration.DurationInput, cap: Duration.DurationInput) =>
  Schedule.exponential(first).pipe(
    Schedule.union(Schedule.spaced(cap)),
    Schedule.jitteredWith({ min: 0.75, max: 1 }),
    Schedule.intersect(Schedule.identity<TinkerError.TinkerError>()),
    Schedule.modifyDelay(([, error], delay) => error.retryAfter ?? delay)
  )

/**
 * Applies a policy to one request.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply =
  (policy: RetryPolicy) =>
  <A, R>(self: Effect.Effect<A, TinkerError.TinkerError, R>): Effect.Effect<A, TinkerError.TinkerError, R> =>
    Duration.toMillis(policy.total) === 0
      ? self
      : Effect.retry(self, {
          schedule: backoff(policy.first, policy.cap).pipe(Schedule.upTo(policy.total)),
          while: (error) => error.isRetryable
        })
