/**
 * Loops that sample while they train. At most `(maxLag + 1)` steps' groups are begun and not yet trained: each takes a
 * permit, then the newest weights, and its permit comes back when the step that trains it has ended. So the weights of a
 * group are at most `maxLag` steps old if groups are trained in their order.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Metrics from "../../Metrics.ts"
import type { EnvGroup } from "../environments/model.ts"
import type { RunDirectoryError } from "../run/errors.ts"
import { collect, groupsAt } from "./collect.ts"
import * as journals from "./journal.ts"
import type { Mode } from "./options.ts"
import type { Collected, CollectError, Index, Run } from "./state.ts"
import { trainStep } from "./step.ts"
import { partsOf } from "./submit.ts"

/** Keys of the checkpoint. */
const nextKey = "next_group_step"
const untrainedKey = "untrained_groups"

type Failure<E> = E | CollectError | RunDirectoryError

interface Pending<E> extends Index {
  readonly done: Deferred.Deferred<Collected, Failure<E>>
  collected: Collected | undefined
}

/** What the loop has begun and not trained, and where its source is. */
interface Queue<E, R> {
  /** groups of a step that are not begun */
  readonly waiting: Array<Index & { readonly env: EnvGroup<E, R> }>
  pending: Array<Pending<E>>
  /** how many of them have ended */
  ended: number
  /** the next step of the source; none when it has ended */
  next: number | undefined
  /** groups of a step, the size of a batch */
  size: number
  readonly journal: journals.Journal
}

const isIndex = (value: unknown): value is Index =>
  typeof value === "object" && value !== null && "step" in value && "group" in value

/** The groups of the next step of the source. */
const readMore = <E, R>({ options }: Run<E, R>, queue: Queue<E, R>) =>
  Effect.gen(function* () {
    const { next } = queue
    if (next === undefined) return
    const groups = next < options.steps ? yield* groupsAt(options, next) : []
    queue.next = groups.length === 0 ? undefined : next + 1
    queue.size ||= groups.length
    for (const [group, env] of groups.entries()) queue.waiting.push({ step: next, group, env })
  })

/** The program may have been killed before it removed what its last checkpoint holds. */
const forgetTrained = <E, R>({ journal, next = 0, waiting }: Queue<E, R>): void => {
  const isWaiting = new Set(waiting.map(journals.keyOf))
  for (const [key, { step }] of journal.kept) if (step < next && !isWaiting.has(key)) journal.kept.delete(key)
}

/** Where the run resumes: groups that were begun and not trained come first. Those that had ended need not run again. */
const open = <E, R>(run: Run<E, R>) =>
  Effect.gen(function* () {
    const { checkpoint } = run.state
    const next = checkpoint?.[nextKey]
    const queue: Queue<E, R> = {
      waiting: [],
      pending: [],
      ended: 0,
      next: typeof next === "number" ? next : 0,
      size: 0,
      journal: yield* journals.open(run)
    }
    const untrained = checkpoint?.[untrainedKey]
    for (const index of Array.isArray(untrained) ? untrained.filter(isIndex) : []) {
      const env = (yield* groupsAt(run.options, index.step))[index.group]
      if (env !== undefined) queue.waiting.push({ ...index, env })
    }
    queue.size = (yield* groupsAt(run.options, 0)).length
    forgetTrained(queue)
    return queue
  })

/** What groups tell the loop when they end. */
interface Ends<E> {
  readonly ended: () => void
  /** completes when the next group ends */
  readonly next: () => Effect.Effect<void>
  /** fails when a group fails */
  readonly failed: Deferred.Deferred<never, Failure<E>>
}

/** Begins a group with the newest weights, unless its episodes were kept. */
const begin = <E, R>(run: Run<E, R>, queue: Queue<E, R>, env: EnvGroup<E, R>, index: Index, ends: Ends<E>) =>
  Effect.gen(function* () {
    const done = yield* Deferred.make<Collected, Failure<E>>()
    const key = journals.keyOf(index)
    const kept = queue.journal.kept.get(key)
    const pending: Pending<E> = { ...index, done, collected: kept }
    queue.pending.push(pending)
    if (kept !== undefined) {
      queue.ended++
      queue.journal.kept.delete(key)
      return yield* Deferred.succeed(done, kept)
    }
    const { policy } = run.state
    return yield* collect(run, policy, env, index).pipe(
      Effect.tap((collected) => {
        pending.collected = collected
        queue.ended++
        return queue.journal.add(collected)
      }),
      Effect.onExit((exit) => Effect.andThen(Deferred.done(done, exit), Effect.sync(ends.ended))),
      Effect.catchAllCause((cause) => Deferred.failCause(ends.failed, cause)),
      Effect.forkScoped
    )
  })

/** Begins groups until so many are begun and not trained. */
const fill = <E, R>(run: Run<E, R>, queue: Queue<E, R>, limit: number, ends: Ends<E>) =>
  Effect.gen(function* () {
    while (queue.pending.length < limit) {
      if (queue.waiting.length === 0) yield* readMore(run, queue)
      const first = queue.waiting.shift()
      if (first === undefined) return
      yield* begin(run, queue, first.env, { step: first.step, group: first.group }, ends)
    }
  })

/** Takes the first groups in the order of the source. */
const takeInOrder = <E, R>(queue: Queue<E, R>, count: number) =>
  Effect.forEach(queue.pending.slice(0, count), ({ done }) => Deferred.await(done), { concurrency: "unbounded" })

/** Takes groups that have ended, those of the oldest weights first, when there are enough. */
const takeOldest = <E, R>(queue: Queue<E, R>, count: number, ends: Ends<E>) =>
  Effect.gen(function* () {
    for (;;) {
      const next = ends.next()
      if (queue.ended >= count) break
      yield* next
    }
    const ended = queue.pending.flatMap(({ collected }) => (collected === undefined ? [] : [collected]))
    return ended.sort((a, b) => a.version - b.version).slice(0, count)
  })

const makeEnds = <E>(): Ends<E> => {
  const make = () => Deferred.unsafeMake<void>(FiberId.none)
  let current = make()
  return {
    ended: () => {
      const before = current
      current = make()
      Deferred.unsafeDone(before, Effect.void)
    },
    next: () => Deferred.await(current),
    failed: Deferred.unsafeMake<never, Failure<E>>(FiberId.none)
  }
}

/** Groups that have ended and are not trained, also those that were kept and are not begun again yet. */
const untrained = <E, R>({ journal, pending }: Queue<E, R>): ReadonlyArray<Collected> => [
  ...pending.flatMap(({ collected }) => (collected === undefined ? [] : [collected])),
  ...journal.kept.values()
]

const checkpointKeys =
  <E, R>(queue: Queue<E, R>, limit: number) =>
  () => ({
    [nextKey]: queue.next ?? limit,
    [untrainedKey]: [...queue.pending, ...queue.waiting].map(({ group, step }) => ({ step, group }))
  })

type Asynchronous = Exclude<Mode, { readonly mode: "synchronous" }>

/** Takes so many groups out of the queue when they are there. */
const takePart = <E, R>(queue: Queue<E, R>, mode: Asynchronous["mode"], count: number, ends: Ends<E>) =>
  Effect.gen(function* () {
    const take = mode === "strict" ? takeInOrder(queue, count) : takeOldest(queue, count, ends)
    // a failure is not to wait behind groups that take long, or never end
    const taken = yield* Effect.raceFirst(take, Deferred.await(ends.failed))
    const isTaken = new Set(taken.map(journals.keyOf))
    queue.pending = queue.pending.filter((pending) => !isTaken.has(journals.keyOf(pending)))
    queue.ended -= taken.length
    return taken
  }).pipe(Effect.withSpan("wait_for_groups"))

/** Trains on the groups of a step as they come, until the source or the steps end. @internal */
export const asynchronous = <E, R>(run: Run<E, R>, { maxLag, minibatches = 1, mode }: Asynchronous) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { options, state } = run
      const queue = yield* open(run)
      const ends = makeEnds<E>()
      while (state.finished < options.steps) {
        const window = yield* Metrics.window
        const limit = Math.max(1, queue.size) * (maxLag + 1)
        yield* fill(run, queue, limit, ends)
        const count = Math.min(Math.max(1, queue.size), queue.pending.length)
        if (count === 0) return
        const parts = partsOf(queue.pending.slice(0, count), minibatches).map(({ length }) =>
          takePart(queue, mode, length, ends)
        )
        const before = state.checkpoint
        yield* trainStep(run, window, parts, checkpointKeys(queue, options.steps)).pipe(window.record)
        if (state.checkpoint !== before) yield* queue.journal.retain(() => untrained(queue))
      }
    })
  )
