/** Bounds the memory of all request bodies that are in memory at the same time. */
import * as Context from "effect/Context"

/** Bodies below it may use a reserve, so that small requests pass while large ones fill the budget. */
const smallBody = 64 * 1024

const reserve = 1.25

/** The bytes of all bodies, and how many each user may add. @internal */
export class BodyBudget {
  readonly limit: number
  /** what one user may use of it */
  readonly share: number
  private readonly users = new Map<string | undefined, number>()
  private total = 0

  constructor(limit: number, share: number) {
    this.limit = limit
    this.share = share
  }

  /** In bytes. */
  get used(): number {
    return this.total
  }

  /** A place for the body of one request. */
  lease(): BodyLease {
    return new BodyLease(this)
  }

  /** Adds bytes to a body of `held` bytes, unless there is no room. */
  add(user: string | undefined, held: number, bytes: number): boolean {
    const factor = held + bytes <= smallBody ? reserve : 1
    const ofUser = this.users.get(user) ?? 0
    if (this.total + bytes > this.limit * factor || ofUser + bytes > this.share * factor) return false
    this.total += bytes
    this.users.set(user, ofUser + bytes)
    return true
  }

  remove(user: string | undefined, bytes: number): void {
    const left = (this.users.get(user) ?? 0) - bytes
    this.total -= bytes
    if (left > 0) this.users.set(user, left)
    else this.users.delete(user)
  }
}

/** What one request holds of a budget, until its response is made. */
class BodyLease {
  private readonly budget: BodyBudget
  private user: string | undefined
  private held = 0

  constructor(budget: BodyBudget) {
    this.budget = budget
  }

  /** Counts bytes for a user; `false` if there is no room for them. */
  add(user: string | undefined, bytes: number): boolean {
    if (this.held === 0) this.user = user
    if (!this.budget.add(this.user, this.held, bytes)) return false
    this.held += bytes
    return true
  }

  release(): void {
    if (this.held > 0) this.budget.remove(this.user, this.held)
    this.held = 0
  }
}

/** The budget of the server that received the request. A service without a socket holds no bodies of its own. @internal */
export class CurrentBudget extends Context.Reference<CurrentBudget>()("@effect-tinker/server/internal/CurrentBudget", {
  defaultValue: (): BodyBudget => new BodyBudget(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
}) {}

/** The lease of the request that runs. @internal */
export class CurrentLease extends Context.Reference<CurrentLease>()("@effect-tinker/server/internal/CurrentLease", {
  defaultValue: (): BodyLease => new BodyBudget(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY).lease()
}) {}
