/** Timeouts of many requests by one sleeping fiber, in place of a fiber for each. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import { type Caller, clockOf, fork, type Forked } from "./runtime.ts"
import type { Releasable } from "../util/releasable.ts"

class Deadline implements Releasable {
  readonly #owner: ClockDeadlines
  readonly timeoutMillis: number
  readonly at: number
  readonly onTimeout: () => void

  constructor(owner: ClockDeadlines, timeoutMillis: number, at: number, onTimeout: () => void) {
    this.#owner = owner
    this.timeoutMillis = timeoutMillis
    this.at = at
    this.onTimeout = onTimeout
  }
  release(): void {
    this.#owner.delete(this)
  }
}

/** The deadlines on one clock. */
class ClockDeadlines {
  readonly #clock: Clock.Clock
  /** by timeout: deadlines with the same timeout pass in the order in which they were added */
  readonly #queues = new Map<number, Set<Deadline>>()
  #sleeper: Forked | undefined = undefined
  #wakesAt = Number.POSITIVE_INFINITY

  constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  add(caller: Caller, timeoutMillis: number, onTimeout: () => void): Deadline {
    const at = this.#clock.unsafeCurrentTimeMillis() + timeoutMillis
    const deadline = new Deadline(this, timeoutMillis, at, onTimeout)
    let queue = this.#queues.get(timeoutMillis)
    if (queue === undefined) this.#queues.set(timeoutMillis, (queue = new Set()))
    queue.add(deadline)
    if (at < this.#wakesAt) this.#sleepUntil(caller, at)
    return deadline
  }

  delete(deadline: Deadline): void {
    const queue = this.#queues.get(deadline.timeoutMillis)
    if (queue === undefined || !queue.delete(deadline) || queue.size > 0) return
    this.#queues.delete(deadline.timeoutMillis)
    if (this.#queues.size === 0) this.#stop()
  }

  #stop() {
    const sleeper = this.#sleeper
    this.#sleeper = undefined
    this.#wakesAt = Number.POSITIVE_INFINITY
    sleeper?.interrupt()
  }

  #sleepUntil(caller: Caller, at: number) {
    this.#stop()
    this.#wakesAt = at
    const sleep = this.#clock.sleep(Duration.millis(Math.ceil(at - this.#clock.unsafeCurrentTimeMillis())))
    const sleeper = fork(caller, caller.currentContext, sleep, (exit) => {
      if (this.#sleeper !== sleeper) return
      this.#sleeper = undefined
      this.#wakesAt = Number.POSITIVE_INFINITY
      if (Exit.isSuccess(exit)) this.#wake(caller)
    })
    this.#sleeper = sleeper
  }

  /** Calls the deadlines that have passed, and sleeps until the next one. */
  #wake(caller: Caller) {
    const now = this.#clock.unsafeCurrentTimeMillis()
    let next = Number.POSITIVE_INFINITY
    for (const queue of this.#queues.values()) {
      for (const deadline of queue) {
        if (deadline.at > now) {
          next = Math.min(next, deadline.at)
          break
        }
        this.delete(deadline)
        deadline.onTimeout()
      }
    }
    if (next < this.#wakesAt) this.#sleepUntil(caller, next)
  }
}

/** @internal */
export class Deadlines {
  // usually one; more if parts of the program run with other clocks
  readonly #byClock = new WeakMap<Clock.Clock, ClockDeadlines>()

  /** Calls `onTimeout` after that time on the caller's clock, unless it is released before. */
  add(caller: Caller, timeoutMillis: number, onTimeout: () => void): Releasable {
    const clock = clockOf(caller)
    let deadlines = this.#byClock.get(clock)
    if (deadlines === undefined) this.#byClock.set(clock, (deadlines = new ClockDeadlines(clock)))
    return deadlines.add(caller, timeoutMillis, onTimeout)
  }
}
