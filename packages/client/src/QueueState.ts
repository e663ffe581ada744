/**
 * Why a result is not there yet, as the service says it: data to show or to react to, not only a line in a log.
 *
 * @since 0.1.0
 */
import type * as Future from "@effect-tinker/api/Future"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as ClientMetrics from "./ClientMetrics.ts"

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
 * Keeps the last state, counts the clients that are held up, and logs a state that is not `active` at most once a
 * minute.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (what: string, annotations: { readonly [name: string]: unknown } = {}): Effect.Effect<Observer> =>
  Effect.map(SubscriptionRef.make(active), (ref) => {
    let last = active
    let logged = Number.NEGATIVE_INFINITY
    const count = ({ state }: QueueState, by: number) =>
      state === "active" ? Effect.void : Metric.modify(Metric.tagged(ClientMetrics.queueState, "state", state), by)
    return {
      current: Effect.sync(() => last),
      changes: Stream.changesWith(ref.changes, same),
      observe: (state) =>
        Effect.suspend(() => {
          const before = last
          last = state
          const changed = same(before, state)
            ? Effect.void
            : SubscriptionRef.set(ref, state).pipe(Effect.zipRight(count(before, -1)), Effect.zipRight(count(state, 1)))
          if (state.state === "active") return changed
          return Effect.zipRight(
            changed,
            Effect.flatMap(Clock.currentTimeMillis, (now) => {
              if (now - logged < logEveryMillis) return Effect.void
              logged = now
              return Effect.annotateLogs(
                Effect.logWarning(`${what} is waiting: ${state.reason ?? state.state}`),
                annotations
              )
            })
          )
        })
    }
  })
