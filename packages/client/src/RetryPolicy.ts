/**
 * How failed requests are retried. There is one policy, applied in one place.
 *
 * | failure | retried |
 * |---|---|
 * | no response (connection, timeout), 408, 429, 5xx but 501 | yes |
 * | `TINKER_CREDENTIAL_CMD` fails, and no credential is valid | yes |
 * | 400 without a body, which an edge proxy sends | yes, at most 16 times more often than requests succeed |
 * | 402 | after 5 s, for as long as the service's flags allow |
 * | 409, 501 and every other status | no: the same request would get the same response |
 * | any, with `x-should-retry` | as the header says |
 *
 * The first retry of a request logs a warning with the service's text, one a minute for each kind of failure. After five
 * failures of one kind in a row, the queue state of its client is `retrying`.
 *
 * @since 0.1.0
 */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import { backoff, failingFirst } from "./internal/util/backoff.ts"
import { type DurationInput, millis } from "./internal/util/duration.ts"

/**
 * Delays double from `first` to `cap`, each shortened by up to a quarter at random. A delay that the server asks for takes
 * their place. No attempt starts once `total` has passed since the first failure.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryPolicy {
  readonly first: DurationInput
  readonly cap: DurationInput
  readonly total: DurationInput
  /** the limit of one attempt */
  readonly timeout: DurationInput
  /** pauses and retries after a 402; the pauses do not count towards `total` */
  readonly billingPause: boolean
  /** whether to retry after a failure; the table above by default */
  readonly isRetryable?: ((error: TinkerError.TinkerError) => boolean) | undefined
}

/**
 * The default: delays of 0.5 s to 10 s, for five minutes, with 60 s for each attempt.
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
 * One attempt only; but a 402 still pauses and retries.
 *
 * @since 0.1.0
 * @category constants
 */
export const never: RetryPolicy = { ...standard, total: 0 }

/**
 * The policy of the current fiber. It is read when an operation is called.
 *
 * @since 0.1.0
 * @category references
 */
export class CurrentRetryPolicy extends Context.Reference<CurrentRetryPolicy>()(
  "@effect-tinker/client/CurrentRetryPolicy",
  { defaultValue: () => standard }
) {}

/**
 * Changes the policy, or parts of it, for an effect.
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

/**
 * The policy as a schedule over failures, which ends when no further attempt is due.
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
 * Retries a request under a policy. `onRetry` runs when another attempt is due, before its delay.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply =
  (policy: RetryPolicy, onRetry?: (error: TinkerError.TinkerError) => Effect.Effect<void>) =>
  <A, R>(self: Effect.Effect<A, TinkerError.TinkerError, R>): Effect.Effect<A, TinkerError.TinkerError, R> => {
    if (millis(policy.total) === 0) return self
    // most requests succeed on the first attempt, and need no schedule
    return Effect.catchAll(self, (first) => {
      if (!(policy.isRetryable?.(first) ?? first.isRetryable)) return Effect.fail(first)
      const schedule = toSchedule(policy)
      return Effect.retry(
        failingFirst(first, () => self),
        onRetry === undefined
          ? schedule
          : Schedule.onDecision(schedule, (error, decision) =>
              ScheduleDecision.isContinue(decision) ? onRetry(error) : Effect.void
            )
      )
    })
  }
