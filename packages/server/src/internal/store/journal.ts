/** Commits changes in groups: all that arrive while one group is being committed make up the next. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { makeDeferredUnsafe } from "../effect/runtime.ts"
import type { Backend } from "./backend.ts"
import { StoreError } from "./model.ts"
import { Batch, type Mutation } from "./mutations.ts"

/** How soon a change must be committed. @internal */
export type Urgency =
  /** at once, and it survives a power failure */
  | "durable"
  /** at once */
  | "prompt"
  /** with the next change that is more urgent, or within `idleDelay` */
  | "idle"

const idleDelay = "5 seconds"

/** A group that collects changes until it is committed. */
interface Group {
  batch: Batch
  durable: boolean
  readonly done: Deferred.Deferred<void, StoreError>
}

const makeGroup = (): Group => ({ batch: new Batch(), durable: false, done: makeDeferredUnsafe() })

/** @internal */
export class Journal {
  private readonly backend: Backend
  private readonly scope: Scope.Scope
  /** collects changes */
  private next = makeGroup()
  /** is being committed */
  private current: Group | undefined
  private appended = 0
  private committed = 0
  private running = false
  private idling = false
  private dead = false

  constructor(backend: Backend, scope: Scope.Scope) {
    this.backend = backend
    this.scope = scope
  }

  /** Adds a change to the next group, in one synchronous step. */
  append(mutation: Mutation, urgency: Urgency): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.dead) return Effect.void
      this.appended++
      if (this.backend.commitNow !== undefined) {
        this.backend.commitNow(mutation)
        this.committed = this.appended
        return Effect.void
      }
      this.next.batch.add(mutation)
      if (urgency === "durable") this.next.durable = true
      return urgency === "idle" ? this.idle : this.start
    })
  }

  /** Adds a change, and waits until it is committed. */
  write(mutation: Mutation): Effect.Effect<void, StoreError> {
    return Effect.flatMap(this.append(mutation, "durable"), () => this.flushed)
  }

  /** Waits until all changes are committed that were added before. */
  get flushed(): Effect.Effect<void, StoreError> {
    return Effect.suspend(() => this.awaitCommit(this.appended))
  }

  /** An effect that waits until all changes are committed that have been added by now. */
  mark(): Effect.Effect<void, StoreError> {
    const position = this.appended
    return position <= this.committed ? Effect.void : Effect.suspend(() => this.awaitCommit(position))
  }

  /** Commits what is left, when the service stops. */
  get close(): Effect.Effect<void> {
    return this.drain
  }

  /** Drops what is not committed, as the end of the process does. */
  kill(): void {
    this.dead = true
  }

  private awaitCommit(position: number): Effect.Effect<void, StoreError> {
    if (this.dead) return new StoreError({ reason: "the service has ended" })
    if (position <= this.committed) return Effect.void
    const group = this.current ?? this.next
    return Effect.flatMap(this.start, () =>
      Effect.flatMap(Deferred.await(group.done), () => this.awaitCommit(position))
    )
  }

  private get start(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.running) return Effect.void
      this.running = true
      // a group has the changes of many requests, and belongs to none of their traces
      const drained = Effect.withTracerEnabled(Effect.uninterruptible(this.drain), false)
      return Effect.asVoid(Effect.forkIn(drained, this.scope))
    })
  }

  private get idle(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.idling || this.running) return Effect.void
      this.idling = true
      const flush = Effect.suspend(() => {
        this.idling = false
        return this.start
      })
      return Effect.asVoid(Effect.forkIn(Effect.delay(flush, idleDelay), this.scope))
    })
  }

  /** Commits group after group until no changes are left. */
  private get drain(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.dead || this.next.batch.isEmpty) {
        this.running = false
        return Effect.void
      }
      const group = this.next
      const position = this.appended
      this.current = group
      this.next = makeGroup()
      return Effect.matchCauseEffect(this.backend.commit(group.batch.mutations, group.durable), {
        onSuccess: () => this.succeed(group, position),
        onFailure: (cause) => this.fail(group, Deferred.failCause(group.done, cause))
      })
    })
  }

  private succeed(group: Group, position: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.current = undefined
      this.committed = position
      return Effect.flatMap(Deferred.succeed(group.done, undefined), () => this.drain)
    })
  }

  /** The changes are not dropped: the next group has them too. */
  private fail(group: Group, signal: Effect.Effect<boolean>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.current = undefined
      this.running = false
      for (const later of this.next.batch.mutations) group.batch.add(later)
      this.next = { batch: group.batch, durable: group.durable || this.next.durable, done: this.next.done }
      return Effect.asVoid(signal)
    })
  }
}
