/** Turns on the engine: users share it equally by the tokens that they use, and so do the models and samplers of a user. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Engine from "../../Engine.ts"
import * as spans from "../effect/spans.ts"

/** Who wants to use the engine, and for how much. @internal */
export interface Claim<A> {
  /** the user */
  readonly owner: string | undefined
  /** the id of the model or sampler: the operations of one begin in the order in which they arrive */
  readonly target: string
  /** the expected cost in tokens */
  readonly cost: number
  /** what a token that the engine reports costs; 1 */
  readonly tokenCost?: number | undefined
  /** the cost when the operation has succeeded; the expected one if absent */
  readonly costOf?: ((result: A) => number) | undefined
  /** runs when the first turn begins */
  readonly onStart?: (() => void) | undefined
  /** whether the engine computes it together with others: all of them have a turn when one has */
  readonly batched?: boolean | undefined
}

/** @internal */
export interface Options {
  /** how many operations have a turn at the same time */
  readonly concurrency: number
  /** how many operations of one user have begun and not ended: each of them holds memory of the engine */
  readonly perUser: number
  /** the same for batched operations; 1 */
  readonly batchPerUser?: number | undefined
}

/** An operation that waits for its turn or has it. */
interface Ticket {
  readonly user: UserQueue
  readonly queue: TargetQueue
  readonly cost: number
  readonly onStart: (() => void) | undefined
  readonly batched: boolean
  state: "waiting" | "running" | "ended"
  begun: boolean
  /** when it began to wait, as a number that grows */
  since: number
  /** what was charged for it so far */
  charged: number
  /** the part of it that was charged in advance, for the running turn */
  advance: number
  /** whether its running turn may take long */
  long: boolean
  /** continues the waiting fiber */
  resume: () => void
}

/** What has been used, by a user or by one of its targets. The least used one has the next turn. */
interface Account {
  used: number
}

/** The tickets of a model or sampler that wait: those that have begun come first. */
interface TargetQueue extends Account {
  readonly target: string
  readonly waiting: Array<Ticket>
  running: number
}

interface UserQueue extends Account {
  readonly owner: string | undefined
  readonly targets: Map<string, TargetQueue>
  /** what the target whose turn began last had used before */
  floor: number
  /** how many targets there may be before idle ones are forgotten */
  maxTargets: number
  begun: number
  /** the same of batched operations */
  begunBatched: number
  /** how many of its running turns may take long */
  long: number
  /** the same of batched operations, which count as one */
  longBatched: number
  /** tickets that wait or run */
  open: number
}

/** The cost that is charged when a turn begins, so that turns which run at the same time see each other. */
const maxAdvance = 1024

const minTargets = 64

const isIdle = ({ running, waiting }: TargetQueue): boolean => running === 0 && waiting.length === 0

/** Forgets idle targets that would begin anew as if they had used nothing else. */
const forgetTargets = (user: UserQueue): void => {
  const { targets } = user
  if (user.open === 0) {
    user.floor = 0
    return targets.clear()
  }
  if (targets.size <= user.maxTargets) return
  for (const queue of targets.values()) if (isIdle(queue) && queue.used <= user.floor) targets.delete(queue.target)
  user.maxTargets = Math.max(minTargets, 2 * targets.size)
}

const isLong = ({ charged, cost }: Ticket): boolean => cost - charged > maxAdvance

const charge = ({ queue, user }: Ticket, cost: number): void => {
  user.used += cost
  queue.used += cost
}

/** The least used account; of equal ones that whose first ticket has waited longest. */
const isBefore = (a: Account, aHead: Ticket, b: Account, bHead: Ticket): boolean =>
  a.used < b.used || (a.used === b.used && aHead.since < bHead.since)

/**
 * Weighted shares as in fair queueing: each turn is charged to its user and to its target, and the next turn goes to the
 * user that was charged least, and there to the target that was charged least. Whoever has not waited for a while is treated as
 * if it had used as much as the one whose turn it is, so that nobody saves up turns.
 *
 * @internal
 */
export class Turns {
  private readonly options: Options
  private readonly users = new Map<string | undefined, UserQueue>()
  /** how many turns run: those of batched operations count as one */
  private running = 0
  private batched = 0
  private readonly ticketOf = new WeakMap<Engine.Turn, readonly [ticket: Ticket, tokenCost: number]>()
  private tickets = 0
  /** what the user whose turn began last had used before */
  private floor = 0

  constructor(options: Options) {
    this.options = options
  }

  /** How many operations wait for a turn. */
  get waiting(): number {
    let count = 0
    for (const { targets } of this.users.values()) for (const { waiting } of targets.values()) count += waiting.length
    return count
  }

  /** How many users and targets are remembered. */
  get remembered(): number {
    let count = this.users.size
    for (const { targets } of this.users.values()) count += targets.size
    return count
  }

  /** Runs an operation of the engine in its turn. An interruption removes it, whether it waits or runs. */
  run<A, E, R>(claim: Claim<A>, operation: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const ticket = this.open(claim)
      const tokenCost = claim.tokenCost ?? 1
      const turn: Engine.Turn = {
        yield: (tokens) => this.giveWay([[ticket, tokens * tokenCost]]),
        yieldTogether: (parts) => this.giveWay(parts.flatMap((part) => this.ownPart(part)))
      }
      this.ticketOf.set(turn, [ticket, tokenCost])
      return spans.beside("tinker.server.queue", this.awaitTurn(ticket)).pipe(
        Effect.andThen(
          spans.under("tinker.server.compute", {}, operation, (context) =>
            Context.add(context, Engine.CurrentTurn, turn)
          )
        ),
        Effect.map((result) => {
          charge(ticket, (claim.costOf?.(result) ?? claim.cost) - ticket.charged)
          return result
        }),
        Effect.ensuring(Effect.sync(() => this.leave(ticket)))
      )
    })
  }

  private ownPart([turn, tokens]: readonly [Engine.Turn, number]): ReadonlyArray<
    readonly [ticket: Ticket, cost: number]
  > {
    const known = this.ticketOf.get(turn)
    return known === undefined ? [] : [[known[0], tokens * known[1]]]
  }

  private open({ batched = false, cost, onStart, owner, target }: Claim<never>): Ticket {
    const user = this.userOf(owner)
    const queue = this.targetOf(user, target)
    user.open++
    return {
      user,
      queue,
      cost,
      onStart,
      batched,
      state: "ended",
      begun: false,
      since: 0,
      charged: 0,
      advance: 0,
      long: false,
      resume: () => {}
    }
  }

  private userOf(owner: string | undefined): UserQueue {
    const user = this.users.get(owner) ?? {
      owner,
      used: 0,
      targets: new Map(),
      floor: 0,
      maxTargets: minTargets,
      begun: 0,
      begunBatched: 0,
      long: 0,
      longBatched: 0,
      open: 0
    }
    if (user.open === 0) user.used = Math.max(user.used, this.floor)
    this.users.set(owner, user)
    return user
  }

  private targetOf({ floor, targets }: UserQueue, target: string): TargetQueue {
    const queue = targets.get(target) ?? { target, used: 0, waiting: [], running: 0 }
    if (isIdle(queue)) queue.used = Math.max(queue.used, floor)
    targets.set(target, queue)
    return queue
  }

  private awaitTurn(ticket: Ticket): Effect.Effect<void> {
    return this.awaitTurns([ticket])
  }

  /** Waits for the turns of all tickets, or the ends of those that are interrupted. */
  private awaitTurns(tickets: ReadonlyArray<Ticket>): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const waiting = new Set(tickets)
      for (const ticket of tickets) {
        ticket.resume = () => {
          waiting.delete(ticket)
          if (waiting.size === 0) resume(Effect.void)
        }
        this.enqueue(ticket)
      }
      this.dispatch()
    })
  }

  private enqueue(ticket: Ticket): void {
    ticket.state = "waiting"
    ticket.since = ++this.tickets
    const { waiting } = ticket.queue
    if (!ticket.begun) return void waiting.push(ticket)
    const index = waiting.findIndex(({ begun }) => !begun)
    waiting.splice(index < 0 ? waiting.length : index, 0, ticket)
  }

  /** Ends the turns of operations that continue later, all at once, so that others see that they have ended. */
  private giveWay(parts: ReadonlyArray<readonly [ticket: Ticket, cost: number]>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const running = parts.filter(([{ state }]) => state === "running")
      if (running.length === 0) return Effect.void
      for (const [ticket, cost] of running) {
        charge(ticket, cost - ticket.advance)
        ticket.charged += cost - ticket.advance
        this.stop(ticket)
      }
      return this.awaitTurns(running.map(([ticket]) => ticket))
    })
  }

  private stop(ticket: Ticket): void {
    const { batched, queue, user } = ticket
    if (ticket.long && batched) user.longBatched--
    if (ticket.long && (!batched || user.longBatched === 0)) user.long--
    ticket.advance = 0
    queue.running--
    if (batched) this.batched--
    if (!batched || this.batched === 0) this.running--
  }

  private leave(ticket: Ticket): void {
    const { batched, begun, queue, resume, state, user } = ticket
    if (state === "running") this.stop(ticket)
    if (state === "waiting") queue.waiting.splice(queue.waiting.indexOf(ticket), 1)
    ticket.state = "ended"
    if (begun && batched) user.begunBatched--
    else if (begun) user.begun--
    user.open--
    // where the engine runs elsewhere, another fiber may wait for the turn
    resume()
    this.dispatch()
    forgetTargets(user)
    this.forgetUsers()
  }

  /** Gives turns to those who wait, as long as there are any. */
  private dispatch(): void {
    for (;;) {
      // what joins a batch that runs takes no turn from others
      const joining = this.batched > 0 ? this.next(true) : undefined
      const ticket = joining ?? (this.running < this.options.concurrency ? this.next(false) : undefined)
      if (ticket === undefined) return
      ticket.queue.waiting.shift()
      this.start(ticket)
      ticket.resume()
    }
  }

  private start(ticket: Ticket): void {
    const { batched, queue, user } = ticket
    this.floor = Math.max(this.floor, user.used)
    user.floor = Math.max(user.floor, queue.used)
    ticket.long = isLong(ticket)
    if (ticket.long && (!batched || user.longBatched === 0)) user.long++
    if (ticket.long && batched) user.longBatched++
    ticket.advance = Math.min(maxAdvance, Math.max(0, ticket.cost - ticket.charged))
    ticket.charged += ticket.advance
    charge(ticket, ticket.advance)
    queue.running++
    if (!batched || this.batched === 0) this.running++
    if (batched) this.batched++
    ticket.state = "running"
    if (ticket.begun) return
    ticket.begun = true
    if (batched) user.begunBatched++
    else user.begun++
    ticket.onStart?.()
  }

  /** The ticket whose turn is next; among those that join the batch that runs, if `joins`. */
  private next(joins: boolean): Ticket | undefined {
    let best: Ticket | undefined
    for (const user of this.users.values()) {
      const head = this.nextOf(user, joins)
      if (head !== undefined && (best === undefined || isBefore(user, head, best.user, best))) best = head
    }
    return best
  }

  private mayBegin({ batched, begun }: Ticket, user: UserQueue): boolean {
    const { batchPerUser = 1, perUser } = this.options
    return begun || (batched ? user.begunBatched < batchPerUser : user.begun < perUser)
  }

  private nextOf(user: UserQueue, joins: boolean): Ticket | undefined {
    // one place is left for what is short, and for others
    const maxLong = Math.max(1, this.options.concurrency - 1)
    let best: Ticket | undefined
    for (const queue of user.targets.values()) {
      const [head] = queue.waiting
      if (head === undefined || !this.mayBegin(head, user) || (joins && !head.batched)) continue
      if (!joins && user.long >= maxLong && isLong(head)) continue
      if (best === undefined || isBefore(queue, head, best.queue, best)) best = head
    }
    return best
  }

  /** Forgets idle users that would begin anew as if they had used nothing else. */
  private forgetUsers(): void {
    const isBusy = Array.from(this.users.values()).some(({ open }) => open > 0)
    for (const user of this.users.values()) {
      if (!isBusy || (user.open === 0 && user.used <= this.floor)) this.users.delete(user.owner)
    }
  }
}
