import * as Effect from "effect/Effect"
import type { Held } from "../transport/exchange.ts"

/** A place in a budget, or in the line before it. @internal */
export class Ticket {
  readonly budget: Budget
  readonly cost: number
  /** the ticket of the same pass that was taken before */
  readonly before: Ticket | undefined
  admitted = false
  /** what is called on admission, within the turn of whoever leaves */
  admit: (() => void) | undefined = undefined

  constructor(budget: Budget, cost: number, before: Ticket | undefined) {
    this.budget = budget
    this.cost = cost
    this.before = before
  }

  /** waits in line */
  admission(): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (this.admitted) resume(Effect.void)
      else this.admit = () => resume(Effect.void)
    })
  }
}

/**
 * So much of something may be under way at once. Whoever comes waits in line until the balance is at least `least`, and
 * then takes its cost, which may leave the balance below zero: what costs more than all there is passes alone. Waiting
 * may be interrupted at any time, and the cost always comes back.
 *
 * @internal
 */
export class Budget {
  #balance: number
  readonly #least: number
  readonly #line = new Set<Ticket>()

  private constructor(balance: number, least: number) {
    this.#balance = balance
    this.#least = least
  }

  /** a budget of bytes: one that costs more than it holds passes alone */
  static bytes(size: number): Budget {
    return new Budget(size, 0)
  }

  /** so many at once */
  static count(size: number): Budget {
    return new Budget(size, 1)
  }

  get balance(): number {
    return this.#balance
  }

  /** how many wait in line */
  get waiting(): number {
    return this.#line.size
  }

  // the first in line is admitted first, whatever those behind it cost
  #serve() {
    for (const ticket of this.#line) {
      if (this.#balance < this.#least) return
      this.#line.delete(ticket)
      this.#balance -= ticket.cost
      ticket.admitted = true
      ticket.admit?.()
    }
  }

  /** takes a ticket, and a place in line where it is not admitted at once */
  join(cost: number, before: Ticket | undefined): Ticket {
    const ticket = new Ticket(this, cost, before)
    if (this.#line.size === 0 && this.#balance >= this.#least) {
      this.#balance -= cost
      ticket.admitted = true
    } else {
      this.#line.add(ticket)
    }
    return ticket
  }

  /** gives a ticket of this budget back, once */
  leave(ticket: Ticket): void {
    if (ticket.admitted) this.#balance += ticket.cost
    else this.#line.delete(ticket)
    this.#serve()
  }

  readonly withCost =
    (cost: number) =>
    <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          const pass = new Pass()
          const entered = Effect.suspend(() => {
            const waiting = pass.enter(this, cost)
            return waiting === undefined ? self : Effect.zipRight(waiting.admission(), self)
          })
          return Effect.flatMap(Effect.exit(restore(entered)), (exit) => {
            pass.leave()
            return exit
          })
        })
      )
}

/**
 * The costs of budgets that are entered one after the other: those before are held while the next is waited for. Whoever
 * enters must leave, whatever happens; it may be at any time, and more than once.
 *
 * @internal
 */
export class Pass implements Held {
  #last: Ticket | undefined = undefined

  /** Enters; a ticket that is to be admitted before one is in, if one has to wait. */
  enter(budget: Budget, cost: number): Ticket | undefined {
    const ticket = budget.join(cost, this.#last)
    this.#last = ticket
    return ticket.admitted ? undefined : ticket
  }

  leave(): void {
    let ticket = this.#last
    this.#last = undefined
    for (; ticket !== undefined; ticket = ticket.before) ticket.budget.leave(ticket)
  }
}
