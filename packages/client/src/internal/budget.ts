import * as Effect from "effect/Effect"

interface Ticket {
  readonly cost: number
  admitted: boolean
  readonly admit: () => void
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
      ticket.admit()
    }
  }

  #leave(ticket: Ticket) {
    if (ticket.admitted) this.#balance += ticket.cost
    else this.#line.delete(ticket)
    this.#serve()
  }

  readonly withCost =
    (cost: number) =>
    <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          if (this.#line.size === 0 && this.#balance >= this.#least) {
            this.#balance -= cost
            return Effect.ensuring(
              restore(self),
              Effect.sync(() => {
                this.#balance += cost
                this.#serve()
              })
            )
          }
          let resume: (effect: Effect.Effect<void>) => void = () => undefined
          const ticket: Ticket = { cost, admitted: false, admit: () => resume(Effect.void) }
          this.#line.add(ticket)
          const admission = Effect.async<void>((callback) => {
            if (ticket.admitted) callback(Effect.void)
            else resume = callback
          })
          // the ticket knows whether it was admitted, whenever the interruption comes
          return Effect.ensuring(
            restore(Effect.zipRight(admission, self)),
            Effect.sync(() => this.#leave(ticket))
          )
        })
      )
}
