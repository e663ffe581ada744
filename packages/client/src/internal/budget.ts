import * as Effect from "effect/Effect"

interface Ticket {
  readonly cost: number
  admitted: boolean
  admit: (() => void) | undefined
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

  #leave(ticket: Ticket) {
    if (ticket.admitted) this.#balance += ticket.cost
    else this.#line.delete(ticket)
    this.#serve()
  }

  #join(cost: number): Ticket {
    const ticket: Ticket = { cost, admitted: false, admit: undefined }
    if (this.#line.size === 0 && this.#balance >= this.#least) {
      this.#balance -= cost
      ticket.admitted = true
    } else {
      this.#line.add(ticket)
    }
    return ticket
  }

  /** The costs of several budgets, one after the other: those before are held while the next is waited for. */
  static withCosts =
    (costs: ReadonlyArray<readonly [budget: Budget, cost: number]>) =>
    <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          // a ticket knows whether it was admitted, whenever an interruption comes
          const tickets: Array<Ticket> = []
          const admitted: Effect.Effect<A, E, R> = Effect.suspend(() => {
            while (tickets.length < costs.length) {
              const [budget, cost] = costs[tickets.length]!
              const ticket = budget.#join(cost)
              tickets.push(ticket)
              if (!ticket.admitted) return Effect.zipRight(admission(ticket), admitted)
            }
            return self
          })
          return Effect.flatMap(Effect.exit(restore(admitted)), (exit) => {
            tickets.forEach((ticket, i) => costs[i]![0].#leave(ticket))
            return exit
          })
        })
      )

  readonly withCost = (cost: number) => Budget.withCosts([[this, cost]])
}

const admission = (ticket: Ticket) =>
  Effect.async<void>((resume) => {
    if (ticket.admitted) resume(Effect.void)
    else ticket.admit = () => resume(Effect.void)
  })
