/**
 * The state of the service's queue: why a result is not ready yet. It is a value and a stream, so that a program can
 * show it or react to it.
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
 * `active`: the work is in progress. `paused_capacity`: the service is short of machines. `paused_rate_limit`: the account
 * has too many operations in progress. `retrying`: requests fail again and again with the same error, which `reason` has;
 * the client still tries. Services may add states.
 *
 * @since 0.1.0
 * @category models
 */
export interface QueueState {
  readonly state: NonNullable<Future.TryAgain["queue_state"]> | "retrying"
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
  /** the current state, and then every change */
  readonly changes: Stream.Stream<QueueState>
}

/**
 * An observable state, with the method that updates it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Observer extends Observable {
  /** `quiet` logs nothing, where a line of another kind says it */
  readonly observe: (state: QueueState, options?: { readonly quiet?: boolean }) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category constants
 */
export const active: QueueState = { state: "active", reason: undefined }

const isSame = (a: QueueState, b: QueueState) => a.state === b.state && a.reason === b.reason

const logIntervalMillis = 60_000

/** The last state, and what its log lines need. */
interface ObserverState {
  readonly description: string
  readonly annotations: { readonly [name: string]: unknown }
  readonly ref: SubscriptionRef.SubscriptionRef<QueueState>
  last: QueueState
  lastLogMillis: number
}

/** Adds to the number of clients in a state; `active` ones are not counted. */
const countClients = ({ state }: QueueState, by: number): Effect.Effect<void> =>
  state === "active" ? Effect.void : Metric.modify(Metric.tagged(ClientMetrics.queueState, "state", state), by)

/** Publishes a change of the state. */
const publish = ({ ref }: ObserverState, before: QueueState, state: QueueState): Effect.Effect<void> =>
  isSame(before, state)
    ? Effect.void
    : SubscriptionRef.set(ref, state).pipe(
        Effect.andThen(countClients(before, -1)),
        Effect.andThen(countClients(state, 1))
      )

/** Logs that work is paused, at most once a minute. */
const logPaused = (observer: ObserverState, { reason, state }: QueueState): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    if (now - observer.lastLogMillis < logIntervalMillis) return Effect.void
    observer.lastLogMillis = now
    return Effect.annotateLogs(
      Effect.logWarning(`${observer.description} is waiting: ${reason ?? state}`),
      observer.annotations
    )
  })

const observe = (observer: ObserverState, state: QueueState, quiet: boolean): Effect.Effect<void> =>
  Effect.suspend(() => {
    const before = observer.last
    observer.last = state
    const published = publish(observer, before, state)
    return quiet || state.state === "active" ? published : Effect.andThen(published, logPaused(observer, state))
  })

/**
 * Keeps the last state, counts the clients in each state but `active`, and logs a state that is not `active` at most once
 * a minute.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  description: string,
  annotations: { readonly [name: string]: unknown } = {}
): Effect.Effect<Observer> =>
  Effect.map(SubscriptionRef.make(active), (ref) => {
    const observer: ObserverState = {
      description,
      annotations,
      ref,
      last: active,
      lastLogMillis: Number.NEGATIVE_INFINITY
    }
    return {
      current: Effect.sync(() => observer.last),
      changes: Stream.changesWith(ref.changes, isSame),
      observe: (state, { quiet = false } = {}) => observe(observer, state, quiet)
    }
  })
