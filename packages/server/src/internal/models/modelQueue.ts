/** The queue of a model: its operations run one at a time, strictly by `seq_id`, in whatever order they arrive. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { currentMillisUnsafe, interruptInBackground } from "../effect/runtime.ts"
import * as responses from "../util/responses.ts"
import type * as futures from "../work/futures.ts"
import * as outcomes from "../work/outcomes.ts"

/** An operation to be queued. @internal */
export interface Submission {
  readonly fingerprint: string
  /** the final check, which may reject; runs in the same synchronous step that takes the `seq_id` */
  readonly check?: ((seqId: number) => responses.OperationRejection | undefined) | undefined
  readonly entry: (seqId: number) => futures.Entry
  readonly work: (seqId: number) => Effect.Effect<outcomes.Outcome>
  /** gives back what `check` took: after the work, or when it will never run */
  readonly release?: ((seqId: number) => Effect.Effect<void>) | undefined
  /** it will never run, while later operations may */
  readonly onLost?: ((seqId: number, reason: string) => void) | undefined
}

/** @internal */
export interface Options {
  /** holds the fibers that run the operations */
  readonly scope: Scope.Scope
  readonly futures: futures.Futures
  /** how long operations wait for a missing `seq_id` before them */
  readonly gapTimeout: Duration.Duration
  /** how far the `seq_id` of an operation may be ahead of the one that runs next */
  readonly maxAhead: number
  /** names the model in error messages */
  readonly name: string
  /** the wait for this `seq_id` has ended; runs before `onLost` of the operations behind it */
  readonly onMissing?: ((seqId: number, reason: string) => void) | undefined
}

/** What a `seq_id` was used for, so that a repeated request gets the same response. */
interface UsedSeqId {
  readonly fingerprint: string
  readonly response: futures.Receipt | responses.OperationRejection
}

interface QueuedOperation {
  readonly entry: futures.Entry
  readonly work: Effect.Effect<outcomes.Outcome>
  readonly release?: Effect.Effect<void> | undefined
  readonly onLost?: ((reason: string) => void) | undefined
}

/** The end of a queue: no later operation runs. */
interface Closing extends QueuedOperation {
  /** operations up to this `seq_id` run before it */
  readonly after: number
  /** of every later operation */
  readonly outcome: outcomes.Failed
  started: boolean
}

/** The wait for a missing `seq_id`. */
interface Gap {
  readonly fiber: Fiber.Fiber<void>
  readonly missing: number
}

// used seq_ids that are remembered: more than clients have in flight
const maxUsedSeqIds = 4000

/**
 * `seq_id` 0 creates the model. Operations wait for a missing `seq_id` before them, for `gapTimeout` at most.
 *
 * @internal
 */
export class ModelQueue {
  private readonly options: Options
  private readonly used = new Map<number, UsedSeqId>()
  // `undefined` for the seq_id of a rejected request, which was used up
  private readonly queued = new Map<number, QueuedOperation | undefined>()
  private next = 0
  private highest = -1
  private running = false
  private ended: string | undefined
  private gap: Gap | undefined
  private closing: Closing | undefined

  constructor(options: Options) {
    this.options = options
  }

  /**
   * Deduplicates a request: a repeated one gets the receipt of the first; another one under the same `seq_id` is
   * rejected; `undefined` if the `seq_id` is free.
   */
  find(seqId: number, fingerprint: string): Effect.Effect<futures.Receipt | undefined, responses.OperationRejection> {
    return Effect.suspend(() => {
      const before = this.lookUp(seqId, fingerprint)
      return before !== undefined && isRejection(before) ? Effect.fail(before) : Effect.succeed(before)
    })
  }

  /** Queues an operation under its `seq_id`, or under the next free one. */
  add(seqId: number | undefined, submission: Submission): Effect.Effect<futures.Receipt, responses.OperationRejection> {
    return Effect.uninterruptible(Effect.suspend(() => this.enqueue(seqId ?? this.highest + 1, seqId, submission)))
  }

  /** Uses up the `seq_id` of a rejected request, so that the operations behind it can run. */
  consumeSeqId(seqId: number, fingerprint: string, rejection: responses.OperationRejection): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.lookUp(seqId, fingerprint) === undefined && this.tooFarAhead(seqId) === undefined
        ? this.take(seqId, { fingerprint, response: rejection }, undefined)
        : Effect.void
    ).pipe(Effect.uninterruptible)
  }

  /**
   * Runs one last operation, which has no `seq_id`, after those that have arrived. All later operations fail at once with
   * the given outcome. A queue that is closed again returns the receipt of the first time.
   */
  close(last: {
    readonly entry: () => futures.Entry
    readonly work: Effect.Effect<outcomes.Outcome>
    readonly outcome: outcomes.Failed
  }): Effect.Effect<futures.Receipt, responses.OperationRejection> {
    return Effect.suspend((): Effect.Effect<futures.Receipt, responses.OperationRejection> => {
      if (this.ended !== undefined) return responses.notFound(this.ended)
      if (this.closing !== undefined) return Effect.succeed(this.closing.entry.receipt)
      const { outcome, work } = last
      const entry = last.entry()
      this.closing = { entry, work, outcome, after: this.highest, started: false }
      return Effect.as(this.advance, entry.receipt)
    }).pipe(Effect.uninterruptible)
  }

  /** Whether an operation with this `seq_id`, or the next free one, comes after the last operation of a closed queue. */
  isClosedTo(seqId: number | undefined): boolean {
    return this.closing !== undefined && (seqId === undefined || seqId > this.closing.after)
  }

  /** Fails the queued operations and rejects all later ones. */
  end(reason: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.ended = reason
      this.used.clear()
      const outcome = outcomes.failed(reason, "server")
      const last = this.closing === undefined ? Effect.void : this.options.futures.complete(this.closing.entry, outcome)
      return Effect.flatMap(this.failQueued(outcome), () => last)
    })
  }

  /** Whether the queued operations wait for this `seq_id`. It is admitted under any load: there is one at a time. */
  isAwaited(seqId: number | undefined): boolean {
    return seqId === this.next && this.queued.size > 0
  }

  /** The rejection of a `seq_id` before which so many are missing that it would be in vain to wait for them. */
  tooFarAhead(seqId: number | undefined): responses.OperationRejection | undefined {
    const { maxAhead, name } = this.options
    return seqId === undefined || seqId <= this.next + maxAhead
      ? undefined
      : responses.tooMany(`${name}: seq_id ${seqId} is more than ${maxAhead} ahead of ${this.next}, which runs next`)
  }

  /** Whether an operation with a higher `seq_id` is there already. */
  isAhead(seqId: number | undefined): boolean {
    return seqId !== undefined && seqId < this.highest
  }

  /** The `seq_id` that the queued operations wait for, if they do. */
  get missing(): number | undefined {
    return this.running || this.queued.size === 0 || this.queued.has(this.next) ? undefined : this.next
  }

  /** Whether an operation runs or is queued. */
  get isBusy(): boolean {
    return this.running || this.queued.size > 0
  }

  private enqueue(
    number: number,
    requested: number | undefined,
    { check, entry: makeEntry, fingerprint, onLost, release, work }: Submission
  ): Effect.Effect<futures.Receipt, responses.OperationRejection> {
    const before = this.lookUp(number, fingerprint)
    if (before !== undefined) return isRejection(before) ? Effect.fail(before) : Effect.succeed(before)
    const rejection = this.isClosedTo(number) ? undefined : check?.(number)
    if (rejection !== undefined) {
      const consumed = requested === undefined ? Effect.void : this.consumeSeqId(requested, fingerprint, rejection)
      return Effect.flatMap(consumed, () => Effect.fail(rejection))
    }
    const entry = makeEntry(number)
    const operation = {
      entry,
      work: work(number),
      release: release?.(number),
      onLost: (reason: string) => onLost?.(number, reason)
    }
    return Effect.as(this.take(number, { fingerprint, response: entry.receipt }, operation), entry.receipt)
  }

  /** The response that this `seq_id` already has, or the rejection of another request under it. */
  private lookUp(seqId: number, fingerprint: string): futures.Receipt | responses.OperationRejection | undefined {
    if (this.ended !== undefined) return responses.notFound(this.ended)
    const { name } = this.options
    const before = this.used.get(seqId)
    if (before !== undefined) {
      return before.fingerprint === fingerprint
        ? before.response
        : responses.conflict(`${name}: seq_id ${seqId} was used for another request`)
    }
    return seqId < this.next
      ? responses.conflict(`${name}: seq_id ${seqId} came too late, the wait for it has ended`)
      : undefined
  }

  private take(seqId: number, use: UsedSeqId, operation: QueuedOperation | undefined): Effect.Effect<void> {
    this.highest = Math.max(this.highest, seqId)
    this.used.set(seqId, use)
    this.forgetUsed()
    if (this.closing !== undefined && this.isClosedTo(seqId)) {
      return operation === undefined ? Effect.void : this.options.futures.complete(operation.entry, this.closing.outcome)
    }
    this.queued.set(seqId, operation)
    return this.advance
  }

  /** A request that is repeated after more than so many others that ran is rejected as too late. */
  private forgetUsed(): void {
    for (const seqId of this.used.keys()) {
      if (this.used.size <= maxUsedSeqIds || seqId >= this.next) return
      this.used.delete(seqId)
    }
  }

  /** Starts the next operation if it has arrived, else the timeout for the missing one. */
  private get advance(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.running || this.ended !== undefined) return Effect.void
      const { gap, next, queued } = this
      const closed = gap !== undefined && (gap.missing !== next || queued.has(next)) ? gap : undefined
      if (closed !== undefined) this.gap = undefined
      const stop = closed === undefined ? Effect.void : interruptInBackground(closed.fiber)
      if (queued.has(next)) {
        this.running = true
        return Effect.flatMap(stop, () => this.fork(this.run))
      }
      if (queued.size === 0) return Effect.flatMap(stop, () => this.runLast)
      if (this.gap !== undefined) return stop
      return stop.pipe(
        Effect.flatMap(() => this.fork(this.expireGap(next))),
        Effect.map((fiber) => {
          this.gap = { fiber, missing: next }
        })
      )
    })
  }

  private fork(effect: Effect.Effect<void>): Effect.Effect<Fiber.Fiber<void>> {
    return Effect.forkIn(Effect.interruptible(effect), this.options.scope)
  }

  /** Runs operations until one is missing. */
  private get run(): Effect.Effect<void> {
    return Effect.ensuring(
      this.drain,
      Effect.sync(() => {
        this.running = false
      })
    ).pipe(Effect.flatMap(() => this.advance))
  }

  private get drain(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { next, queued } = this
      if (!queued.has(next)) return Effect.void
      const operation = queued.get(next)
      queued.delete(next)
      this.next++
      if (operation === undefined) return this.drain
      return this.complete(operation).pipe(
        // fibers that await the result run before the next operation
        Effect.flatMap(() => Effect.yieldNow()),
        Effect.flatMap(() => this.drain)
      )
    })
  }

  /** Runs the last operation of a closed queue, once. */
  private get runLast(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { closing } = this
      if (closing === undefined || closing.started) return Effect.void
      closing.started = true
      this.running = true
      const finish = Effect.sync(() => {
        this.running = false
      })
      return Effect.asVoid(this.fork(Effect.ensuring(this.complete(closing), finish)))
    })
  }

  private complete({ entry, release = Effect.void, work }: QueuedOperation): Effect.Effect<void> {
    return Effect.clockWith((clock) => {
      entry.started = currentMillisUnsafe(clock)
      // whoever sees the result can take again what the operation had
      const released = Effect.ensuring(work, release)
      return outcomes.settle(released, (outcome) => this.options.futures.complete(entry, outcome))
    })
  }

  /** Fails everything behind a missing `seq_id` when the wait for it ends. */
  private expireGap(missing: number): Effect.Effect<void> {
    const { gapTimeout, name } = this.options
    return Effect.suspend(() => {
      if (this.gap?.missing !== missing) return Effect.void
      this.gap = undefined
      this.next = this.highest + 1
      const seconds = Duration.toSeconds(gapTimeout)
      const reason = `${name}: seq_id ${missing} did not arrive within ${seconds} s, so nothing after it can run`
      this.noteLost(missing, reason)
      return Effect.flatMap(this.failQueued(outcomes.failed(reason, "user")), () => this.advance)
    }).pipe(Effect.uninterruptible, Effect.delay(gapTimeout))
  }

  /** Reports what will not run, in order. */
  private noteLost(missing: number, reason: string): void {
    this.options.onMissing?.(missing, reason)
    for (const seqId of Array.from(this.queued.keys()).sort((a, b) => a - b)) this.queued.get(seqId)?.onLost?.(reason)
  }

  private failQueued(outcome: outcomes.Failed): Effect.Effect<void> {
    return Effect.suspend(() => {
      const dropped = Array.from(this.queued.values()).filter((operation) => operation !== undefined)
      this.queued.clear()
      return Effect.forEach(
        dropped,
        ({ entry, release = Effect.void }) =>
          Effect.andThen(release, this.options.futures.complete(entry, outcome)),
        { discard: true }
      )
    })
  }
}

const isRejection = (response: futures.Receipt | responses.OperationRejection): response is responses.OperationRejection => "_tag" in response
