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

  static join = (budget: Budget, cost: number): Ticket => budget.#join(cost)

  static leave = (budget: Budget, ticket: Ticket): void => budget.#leave(ticket)

  readonly withCost =
    (cost: number) =>
    <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          const pass = new Pass([[this, cost]])
          return Effect.flatMap(Effect.exit(restore(pass.first(self))), (exit) => {
            pass.leave()
            return exit
          })
        })
      )
}

/**
 * The costs of several budgets, one after the other: those before are held while the next is waited for. Whoever enters
 * must leave, whatever happens; it may be at any time, and more than once.
 *
 * @internal
 */
export class Pass {
  readonly #costs: ReadonlyArray<readonly [budget: Budget, cost: number]>
  readonly #tickets: Array<Ticket> = []
  #left = false

  constructor(costs: ReadonlyArray<readonly [budget: Budget, cost: number]>) {
    this.#costs = costs
  }

  /** Enters; what is to be waited for before one is in, if anything is. */
  enter(): Effect.Effect<void> | undefined {
    while (this.#tickets.length < this.#costs.length) {
      const [budget, cost] = this.#costs[this.#tickets.length]!
      const ticket = Budget.join(budget, cost)
      this.#tickets.push(ticket)
      if (!ticket.admitted) return Effect.flatMap(admission(ticket), () => this.enter() ?? Effect.void)
    }
    return undefined
  }

  /** enters before an effect */
  first<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const wait = this.enter()
      return wait === undefined ? self : Effect.zipRight(wait, self)
    })
  }

  leave(): void {
    if (this.#left) return
    this.#left = true
    for (let i = 0; i < this.#tickets.length; i++) Budget.leave(this.#costs[i]![0], this.#tickets[i]!)
  }
}

const admission = (ticket: Ticket) =>
  Effect.async<void>((resume) => {
    if (ticket.admitted) resume(Effect.void)
    else ticket.admit = () => resume(Effect.void)
  })
