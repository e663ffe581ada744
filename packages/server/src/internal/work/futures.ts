/** The futures of the service: operations whose results exist or will exist, found by request id. */
import type * as Future from "@effect-tinker/api/Future"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as currentUser from "../auth/currentUser.ts"
import { makeDeferredUnsafe } from "../effect/runtime.ts"
import * as traces from "../records/traces.ts"
import * as responses from "../util/responses.ts"
import type * as outcomes from "./outcomes.ts"

/** What the response to a submission contains. It does not hold the result. @internal */
export interface Receipt {
  readonly id: string
  /** fields of the envelope besides the id */
  readonly envelope: Omit<Future.FutureEnvelope, "request_id">
}

/** @internal */
export const toEnvelope = ({ envelope, id }: Receipt): Future.FutureEnvelope => ({ request_id: id, ...envelope })

/** What the operations of a user hold, over all sessions. @internal */
export interface UserLoad {
  readonly owner: string | undefined
  /** operations without a result */
  pending: number
  /** the size of their requests */
  pendingBytes: number
  /** the size of the results that were never delivered */
  resultBytes: number
  /** sessions that have not ended, and their models and sampling sessions */
  sessions: number
  models: number
  samplers: number
  /** the size of the weights in memory that sampling sessions hold */
  samplerBytes: number
}

const makeUserLoad = (owner: string | undefined): UserLoad => ({
  owner,
  pending: 0,
  pendingBytes: 0,
  resultBytes: 0,
  sessions: 0,
  models: 0,
  samplers: 0,
  samplerBytes: 0
})

/** The operations of a session. @internal */
export interface SessionLoad {
  readonly user: UserLoad
  /** of its operations whose results exist or will exist */
  readonly requestIds: Set<string>
  /** delivered results that are still retained, by request id, with their size in bytes; oldest first */
  readonly delivered: Map<string, number>
  deliveredBytes: number
  readonly trace: traces.Trace
}

/** @internal */
export const makeLoad = (user: UserLoad): SessionLoad => ({
  user,
  requestIds: new Set(),
  delivered: new Map(),
  deliveredBytes: 0,
  trace: traces.make()
})

/** What a poll reports while there is no result. @internal */
export interface QueueState {
  readonly queue_state: "active" | "paused_capacity"
  readonly queue_state_reason?: string
}

/** A future. @internal */
export interface Entry {
  readonly load: SessionLoad
  /** the size of the request */
  readonly bytes: number
  /** the size of the result until it is delivered */
  undelivered: number
  /** what the session's trace shows of the operation */
  readonly event: Pick<traces.Event, "name" | "target" | "seq_id" | "queued">
  /** when the operation began, in milliseconds since the epoch */
  started?: number
  /** `active` if absent */
  state?: (() => QueueState) | undefined
  readonly receipt: Receipt
  readonly result: Deferred.Deferred<outcomes.Outcome>
  /** keeps the session of the operation alive */
  readonly touch: Effect.Effect<void>
  /** how many polls for the result have begun, and how many wait now */
  polls?: number
  waiting?: number
  /** interrupts the operation; absent if it cannot be cancelled */
  cancel?: Effect.Effect<void>
  /** waits until the records of the operation are committed: until then its result must not be delivered */
  recorded?: Effect.Effect<void>
}

// for one session: more than clients have in flight
const maxDelivered = 2000
const maxDeliveredBytes = 128 * 2 ** 20
// evicted ids that get a 410 rather than a 404
const maxEvictedIds = 4000

/**
 * Results are evicted when they are older than `retention`, or when enough other results were delivered after them. The
 * store retains no inputs.
 *
 * @internal
 */
export class Futures {
  private readonly retentionMillis: number
  private readonly entries = new Map<string, Entry>()
  /** the owners of evicted results, by request id */
  private readonly evicted = new Map<string, string | undefined>()
  // request ids with the time of completion, in order of completion
  private readonly completed = new Map<string, number>()
  private readonly stopped = makeDeferredUnsafe<void>()
  private readonly loads = new Map<string | undefined, UserLoad>()

  /** makes an effect that waits until all is committed that was recorded by now */
  private readonly mark: () => Effect.Effect<void>

  constructor(retention: Duration.Duration, mark: () => Effect.Effect<void> = () => Effect.void) {
    this.retentionMillis = Duration.toMillis(retention)
    this.mark = mark
  }

  /** What the operations of a user hold. */
  loadOf(owner: string | undefined): UserLoad {
    const load = this.loads.get(owner) ?? makeUserLoad(owner)
    this.loads.set(owner, load)
    return load
  }

  add(options: Omit<Entry, "result" | "undelivered">): Entry {
    const entry = { ...options, undelivered: 0, result: makeDeferredUnsafe<outcomes.Outcome>() }
    const { requestIds, user } = entry.load
    this.entries.set(entry.receipt.id, entry)
    requestIds.add(entry.receipt.id)
    user.pending++
    user.pendingBytes += entry.bytes
    return entry
  }

  /** How many operations have no result: those that run, and those that wait. */
  get load(): { readonly running: number; readonly queued: number } {
    const { completed, entries } = this
    const unfinished = entries.size - completed.size
    let running = 0
    if (unfinished > 0)
      for (const [id, entry] of entries) if (entry.started !== undefined && !completed.has(id)) running++
    return { running, queued: unfinished - running }
  }

  /** Whether every result was delivered. */
  get isDelivered(): boolean {
    for (const id of this.completed.keys()) if (this.entries.get(id)?.load.delivered.has(id) === false) return false
    return true
  }

  /** Sets the outcome of a future. The first outcome stays. */
  complete(entry: Entry, outcome: outcomes.Outcome): Effect.Effect<void> {
    return Effect.flatMap(this.settle(entry, outcome), (isFirst) => {
      if (!isFirst) return Effect.void
      const { user } = entry.load
      user.pending--
      user.pendingBytes -= entry.bytes
      if (this.entries.has(entry.receipt.id)) setUndelivered(entry, outcome._tag === "Done" ? outcome.bytes : 0)
      // both hold the request
      entry.state = undefined
      if (entry.cancel !== undefined) entry.cancel = Effect.void
      return Effect.map(Clock.currentTimeMillis, (now) => this.recordCompletion(entry, outcome, now))
    })
  }

  /** The user's future with this id. */
  find(id: string): Effect.Effect<Entry, responses.NotFound | responses.Gone> {
    return Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<Entry, responses.NotFound | responses.Gone> => {
      this.evictOlderThan(now - this.retentionMillis)
      const entry = this.entries.get(id)
      const missing = () => responses.notFound(`there is no request ${id}`)
      if (entry !== undefined) {
        return currentUser.authorize(entry.load.user.owner, () => Effect.succeed(entry), missing)
      }
      if (!this.evicted.has(id)) return missing()
      const gone = () => responses.gone(`the result of request ${id} is no longer held`)
      return currentUser.authorize<Entry, responses.NotFound | responses.Gone>(this.evicted.get(id), gone, missing)
    })
  }

  /** Waits for an outcome, for `atMost` at most. `stopWaiting` ends the wait. */
  awaitOutcome(entry: Entry, atMost: Duration.Duration): Effect.Effect<Option.Option<outcomes.Outcome>> {
    return Effect.flatMap(Deferred.poll(entry.result), (now) =>
      Option.isSome(now)
        ? Effect.asSome(now.value)
        : Deferred.await(entry.result).pipe(
            Effect.asSome,
            Effect.raceFirst(Effect.as(Deferred.await(this.stopped), Option.none<outcomes.Outcome>())),
            Effect.timeoutOption(atMost),
            Effect.map(Option.flatten)
          )
    )
  }

  /** Waits for an event, for `atMost` at most. `stopWaiting` ends the wait. */
  awaitEvent(event: Effect.Effect<void>, atMost: Duration.Duration): Effect.Effect<void> {
    return event.pipe(Effect.raceFirst(Deferred.await(this.stopped)), Effect.timeoutOption(atMost), Effect.asVoid)
  }

  /** The size of a result in bytes; `undefined` if there is none or it cannot be encoded. */
  resultSize(id: string): Effect.Effect<number | undefined> {
    const entry = this.entries.get(id)
    if (entry === undefined) return Effect.succeed(undefined)
    return Effect.flatMap(Deferred.poll(entry.result), (polled) =>
      Option.isNone(polled) ? Effect.succeed(undefined) : Effect.map(polled.value, sizeOf)
    )
  }

  /**
   * Records the delivery of a result, with its size in bytes. The result is retained until enough others were delivered,
   * for a client that did not receive the response.
   */
  markDelivered(entry: Entry, bytes: number): void {
    const { load, receipt } = entry
    const { delivered } = load
    if (!this.entries.has(receipt.id)) return
    setUndelivered(entry, 0)
    load.deliveredBytes += bytes - (delivered.get(receipt.id) ?? 0)
    delivered.delete(receipt.id)
    delivered.set(receipt.id, bytes)
    for (const oldest of delivered.keys()) {
      if (delivered.size <= maxDelivered && load.deliveredBytes <= maxDeliveredBytes) return
      // the newest stays, whatever its size
      if (oldest !== receipt.id) this.evict(oldest)
    }
  }

  /** Evicts the result of a completed future. */
  release(id: string): void {
    if (this.completed.has(id)) this.evict(id)
  }

  /** Forgets a completed future whose id no client knows. */
  forget(id: string): void {
    if (!this.completed.has(id)) return
    this.evict(id)
    this.evicted.delete(id)
  }

  /** Cancels an operation that nobody waits for. A poll for it that comes later gets 410, so that it is submitted again. */
  abandon(entry: Entry): Effect.Effect<void> {
    return Effect.andThen(
      Effect.suspend(() => entry.cancel ?? Effect.void),
      Effect.sync(() => this.release(entry.receipt.id))
    )
  }

  /** Cancels those operations that have no result and nobody polls for. */
  abandonAll(ids: ReadonlyArray<string>): Effect.Effect<void> {
    return Effect.forEach(
      ids,
      (id) => {
        const entry = this.entries.get(id)
        const isPending = entry !== undefined && !this.completed.has(id) && (entry.waiting ?? 0) === 0
        return isPending ? this.abandon(entry) : Effect.void
      },
      { discard: true }
    )
  }

  /** Evicts the results of a session. */
  releaseAll({ requestIds }: SessionLoad): void {
    for (const id of requestIds) this.release(id)
  }

  /** How many futures there are. */
  get size(): number {
    return this.entries.size
  }

  /** Ends all waits, and every later one at once. */
  get stopWaiting(): Effect.Effect<void> {
    return Effect.asVoid(Deferred.succeed(this.stopped, undefined))
  }

  private settle(entry: Entry, outcome: outcomes.Outcome): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      entry.recorded ??= this.mark()
      return Deferred.succeed(entry.result, outcome)
    })
  }

  private recordCompletion(entry: Entry, outcome: outcomes.Outcome, now: number): void {
    this.evictOlderThan(now - this.retentionMillis)
    this.completed.set(entry.receipt.id, now)
    traces.add(entry.load.trace, {
      ...entry.event,
      started: entry.started,
      ended: now,
      outcome: outcome._tag === "Done" ? "done" : "failed"
    })
  }

  private evictOlderThan(limit: number): void {
    for (const [id, at] of this.completed) {
      if (at >= limit) return
      this.evict(id)
    }
  }

  private evict(id: string): void {
    const { completed, entries, evicted } = this
    const entry = entries.get(id)
    if (entry !== undefined) {
      const { load } = entry
      evicted.set(id, load.user.owner)
      setUndelivered(entry, 0)
      load.deliveredBytes -= load.delivered.get(id) ?? 0
      load.delivered.delete(id)
      load.requestIds.delete(id)
    }
    entries.delete(id)
    completed.delete(id)
    if (evicted.size > maxEvictedIds) for (const oldest of evicted.keys()) return void evicted.delete(oldest)
  }
}

const setUndelivered = (entry: Entry, bytes: number): void => {
  entry.load.user.resultBytes += bytes - entry.undelivered
  entry.undelivered = bytes
}

const sizeOf = (outcome: outcomes.Outcome): number | undefined => {
  if (outcome._tag === "Failed") return undefined
  try {
    return outcome.encode("protobuf").bytes.byteLength
  } catch {
    // a poll for the result reports why it cannot be encoded
    return undefined
  }
}
