/**
 * Why a result is not there yet, as the service says it: data to show or to react to, not only a line in a log.
 *
 * @since 0.1.0
 */
import type * as Future from "@effect-tinker/api/Future"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"

/**
 * `active` when work goes on; `paused_capacity` when the service is short of machines; `paused_rate_limit` when the
 * account has too much under way. Services may add states.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueState {
  readonly state: NonNullable<Future.TryAgain["queue_state"]>
  readonly reason: string | undefined
}

/**
 * The state of one client's queue.
 *
 * @since 0.1.0
 * @category models
 */
export interface Observable {
  readonly current: Effect.Effect<QueueState>
  /** the current state, and each one that differs from the one before */
  readonly changes: Stream.Stream<QueueState>
}

/**
 * The observable, and where its observations come from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Observer extends Observable {
  readonly observe: (state: QueueState) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category constants
 */
export const active: QueueState = { state: "active", reason: undefined }

const same = (a: QueueState, b: QueueState) => a.state === b.state && a.reason === b.reason
const logEveryMillis = 60_000

/**
 * Keeps the last state, and logs one that is not `active` at most once a minute.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (what: string): Effect.Effect<Observer> =>
  Effect.map(SubscriptionRef.make(active), (ref) => {
    let logged = Number.NEGATIVE_INFINITY
    return {
      current: SubscriptionRef.get(ref),
      changes: Stream.changesWith(ref.changes, same),
      observe: (state) =>
        Effect.gen(function* () {
          if (!same(yield* SubscriptionRef.get(ref), state)) yield* SubscriptionRef.set(ref, state)
          const now = yield* Clock.currentTimeMillis
          if (state.state !== "active" && now - logged >= logEveryMillis) {
            logged = now
            yield* Effect.logWarning(`${what} is waiting: ${state.reason ?? state.state}`)
          }
        })
    }
  })
