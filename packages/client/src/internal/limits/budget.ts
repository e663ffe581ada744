/** A fair weighted semaphore, acquired by callbacks. */
import * as Effect from "effect/Effect"
import type { Releasable } from "../util/releasable.ts"

/** A part of a budget: granted, or waiting in the queue. */
class Permit {
  readonly budget: Budget
  readonly cost: number
  /** the permit that the same holder acquired before */
  readonly previous: Permit | undefined
  isAdmitted = false
  /** called on admission, while another holder releases */
  onAdmitted: (() => void) | undefined = undefined

  constructor(budget: Budget, cost: number, previous: Permit | undefined) {
    this.budget = budget
    this.cost = cost
    this.previous = previous
  }
}

/**
 * Requests are admitted first come, first served. Each waits until the balance is at least `least`, and then takes its
 * cost, which may leave the balance below zero: a request that is larger than the capacity runs alone.
 *
 * @internal
 */
export class Budget {
  #balance: number
  readonly #least: number
  readonly #queue = new Set<Permit>()

  private constructor(balance: number, least: number) {
    this.#balance = balance
    this.#least = least
  }

  /** a capacity of `size` bytes */
  static bytes(size: number): Budget {
    return new Budget(size, 0)
  }

  /** at most `size` at once, each at a cost of 1 */
  static count(size: number): Budget {
    return new Budget(size, 1)
  }

  get balance(): number {
    return this.#balance
  }

  /** how many wait to be admitted */
  get waiting(): number {
    return this.#queue.size
  }

  // in the order of the queue, even if a later one would fit
  #admit() {
    for (const permit of this.#queue) {
      if (this.#balance < this.#least) return
      this.#queue.delete(permit)
      this.#balance -= permit.cost
      permit.isAdmitted = true
      permit.onAdmitted?.()
    }
  }

  /** A permit that is admitted, or is in the queue; for `Permits`. */
  request(cost: number, previous: Permit | undefined): Permit {
    const permit = new Permit(this, cost, previous)
    if (this.#queue.size === 0 && this.#balance >= this.#least) {
      this.#balance -= cost
      permit.isAdmitted = true
    } else {
      this.#queue.add(permit)
    }
    return permit
  }

  /** Takes back a permit of this budget, once; for `Permits`. */
  release(permit: Permit): void {
    if (permit.isAdmitted) this.#balance += permit.cost
    else this.#queue.delete(permit)
    this.#admit()
  }

  /** Runs an effect with a permit. It waits interruptibly, and the permit is always released. */
  readonly withCost =
    (cost: number) =>
    <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          const permits = new Permits()
          const admitted = Effect.flatMap(permits.admission(this, cost), () => self)
          return Effect.flatMap(Effect.exit(restore(admitted)), (exit) => {
            permits.release()
            return exit
          })
        })
      )
}

/**
 * The permits of one holder, which acquires them one after the other and releases them together. It must release them at
 * its end, and may do so at any time, more than once.
 *
 * @internal
 */
export class Permits implements Releasable {
  #last: Permit | undefined = undefined

  /** Calls `onAdmitted` at once where there is room, or while another holder releases. */
  acquire(budget: Budget, cost: number, onAdmitted: () => void): void {
    const permit = budget.request(cost, this.#last)
    this.#last = permit
    if (permit.isAdmitted) onAdmitted()
    else permit.onAdmitted = onAdmitted
  }

  /** Acquires, and waits until it is admitted. */
  admission(budget: Budget, cost: number): Effect.Effect<void> {
    return Effect.async<void>((resume) => this.acquire(budget, cost, () => resume(Effect.void)))
  }

  release(): void {
    let permit = this.#last
    this.#last = undefined
    for (; permit !== undefined; permit = permit.previous) permit.budget.release(permit)
  }
}
