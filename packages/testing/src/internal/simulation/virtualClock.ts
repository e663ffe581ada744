/** A clock whose time moves only by `advanceTo`. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** A fiber that sleeps. @internal */
export interface Timer {
  /** when it wakes, in milliseconds */
  readonly at: number
  /** timers of the same time wake in order of creation */
  readonly order: number
  readonly wake: () => void
}

/** @internal */
export class VirtualClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  now = 0
  private order = 0
  readonly timers = new Set<Timer>()

  unsafeCurrentTimeMillis(): number {
    return this.now
  }
  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.now)
  unsafeCurrentTimeNanos(): bigint {
    return BigInt(Math.round(this.now * 1e6))
  }
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.unsafeCurrentTimeNanos())

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const millis = Duration.toMillis(duration)
      // rounded up to whole milliseconds, as the timers of a system are
      const timer: Timer = { at: Math.ceil(this.now + millis), order: this.order++, wake: () => resume(Effect.void) }
      // an infinite sleep is no reason to move the time
      if (Number.isFinite(timer.at)) this.timers.add(timer)
      return Effect.sync(() => {
        this.timers.delete(timer)
      })
    })
  }

  /** The timer that wakes next. */
  get next(): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.timers) {
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer
    }
    return next
  }

  /** Moves the time to a timer and wakes its fiber. */
  advanceTo(timer: Timer): void {
    this.timers.delete(timer)
    this.now = Math.max(this.now, timer.at)
    timer.wake()
  }
}
