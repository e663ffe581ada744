/** Delays between attempts, and retries that continue after a first failure. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import type { DurationInput } from "./duration.ts"

// the shortest delay, also where a server asks for less
const minDelay = Duration.millis(10)

/** Delays that double from `first` to `cap`, with jitter. A delay that the server asks for takes their place. @internal */
export const backoff = (first: DurationInput, cap: DurationInput) =>
  Schedule.exponential(first).pipe(
    Schedule.union(Schedule.spaced(cap)),
    Schedule.jitteredWith({ min: 0.75, max: 1 }),
    Schedule.intersect(Schedule.identity<TinkerError.TinkerError>()),
    Schedule.modifyDelay(([, error], delay) =>
      error.retryAfter === undefined ? delay : Duration.max(error.retryAfter, minDelay)
    )
  )

/** The same delay before attempt `count`, in whole milliseconds, for loops without a schedule. @internal */
export const jittered = (firstMillis: number, capMillis: number, count: number): Effect.Effect<number> =>
  Effect.map(Random.next, (random) =>
    Math.ceil(Math.min(firstMillis * 2 ** Math.min(count, 20), capMillis) * (1 - random / 4))
  )

/** Fails with `error` at first, and runs `next` from then on: a retry of it starts after that failure. @internal */
export const failingFirst = <A, E, R>(error: E, next: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  let hasFailed = false
  return Effect.suspend(() => {
    if (hasFailed) return next()
    hasFailed = true
    return Effect.fail(error)
  })
}

/**
 * Sends a request again if its response could not be read. The service recognizes its sequence number, and sends the
 * same response. `onRetry` runs before each retry.
 *
 * @internal
 */
export const retryUnreadable =
  (onRetry: (error: TinkerError.TinkerError) => Effect.Effect<void>) =>
  <A, R>(self: Effect.Effect<A, TinkerError.TinkerError, R>): Effect.Effect<A, TinkerError.TinkerError, R> => {
    const schedule = backoff("500 millis", "10 seconds").pipe(
      Schedule.map(([, error]) => error),
      Schedule.intersect(Schedule.recurs(3)),
      Schedule.whileInput((error: TinkerError.TinkerError) => error._tag === "DecodeError"),
      Schedule.onDecision(([error], decision) => (ScheduleDecision.isContinue(decision) ? onRetry(error) : Effect.void))
    )
    return Effect.retry(self, schedule)
  }
