import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as futures from "./futures.ts"
import * as responses from "../util/responses.ts"

/**
 * The operations of one model. Each has a number; they run one at a time and strictly by number, in whatever order they
 * arrive. Number 0 creates the model.
 *
 * @internal
 */
export interface Queue {
  /**
   * What the number was used for before: the same request gets what it got then, another is refused. A number that is
   * free answers `undefined`.
   */
  readonly find: (
    seqId: number,
    fingerprint: string
  ) => Effect.Effect<futures.Ticket | undefined, responses.OperationRejection>
  /** Takes a number, the next one when `seqId` is `undefined`, and runs `work` in its turn. */
  readonly add: (
    seqId: number | undefined,
    request: Request
  ) => Effect.Effect<futures.Ticket, responses.OperationRejection>
  /** Takes a number for a request that was refused, so that those behind it need not wait for it. */
  readonly consumeSeqId: (
    seqId: number,
    fingerprint: string,
    refusal: responses.OperationRejection
  ) => Effect.Effect<void>
  /** Fails what waits; nothing is taken any more. */
  readonly end: (reason: string) => Effect.Effect<void>
  /** whether operations wait for this number, or it is the next one to run: it is taken whatever else waits */
  readonly isAwaited: (seqId: number | undefined) => boolean
  /** the number that is missing, where one is */
  readonly missing: () => number | undefined
  /** whether something runs or waits */
  readonly isBusy: Effect.Effect<boolean>
}

/** @internal */
export interface Request {
  readonly fingerprint: string
  /** the last chance to refuse, together with taking the number */
  readonly check?: ((seqId: number) => responses.OperationRejection | undefined) | undefined
  readonly entry: (seqId: number) => futures.Entry
  readonly work: (seqId: number) => Effect.Effect<futures.Outcome>
}

interface Slot {
  readonly fingerprint: string
  readonly answer: futures.Ticket | responses.OperationRejection
}

// more than clients have under way
const slotsKnown = 4000

interface Waiting {
  readonly entry: futures.Entry
  readonly work: Effect.Effect<futures.Outcome>
}

const isRefusal = (answer: futures.Ticket | responses.OperationRejection): answer is responses.OperationRejection =>
  "_tag" in answer

/** Work that always ends in an outcome, whatever happens to it. @internal */
export const settle = (
  work: Effect.Effect<futures.Outcome>,
  complete: (outcome: futures.Outcome) => Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.matchCauseEffect(Effect.interruptible(work), {
    onSuccess: complete,
    onFailure: (cause) =>
      Cause.isInterrupted(cause)
        ? Effect.zipRight(
            complete(futures.failed("the operation was stopped: its session or the service ended", "server")),
            Effect.failCause(cause)
          )
        : Effect.zipRight(
            Effect.logError("an operation died", cause),
            complete(futures.failed("an internal error, which the service has logged", "server"))
          )
  }).pipe(Effect.uninterruptible)

/** @internal */
export const make = (options: {
  readonly scope: Scope.Scope
  readonly futures: futures.Futures
  readonly gapTimeout: Duration.Duration
  readonly name: string
}): Queue => {
  const slots = new Map<number, Slot>()
  // a burned number waits without anything to do
  const waiting = new Map<number, Waiting | undefined>()
  let next = 0
  let highest = -1
  let running = false
  let ended: string | undefined
  let gap: { readonly fiber: Fiber.RuntimeFiber<void>; readonly missing: number } | undefined

  const { complete } = options.futures

  const failWaiting = (outcome: futures.Failed) =>
    Effect.suspend(() => {
      const entries = Array.from(waiting.values(), (item) => item?.entry).filter((entry) => entry !== undefined)
      waiting.clear()
      return Effect.forEach(entries, (entry) => complete(entry, outcome), { discard: true })
    })

  const drain: Effect.Effect<void> = Effect.suspend(() => {
    if (!waiting.has(next)) return Effect.void
    const item = waiting.get(next)
    waiting.delete(next)
    next++
    // fibers that wait for the result get their turn before the next operation
    return item === undefined
      ? drain
      : Effect.clockWith((clock) => {
          item.entry.started = clock.unsafeCurrentTimeMillis()
          return settle(item.work, (outcome) => complete(item.entry, outcome))
        }).pipe(Effect.zipRight(Effect.yieldNow()), Effect.zipRight(drain))
  })

  const expire = (missing: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (gap?.missing !== missing) return Effect.void
      gap = undefined
      next = highest + 1
      const seconds = Duration.toSeconds(options.gapTimeout)
      const reason = `${options.name}: seq_id ${missing} did not arrive within ${seconds} s, so nothing after it can run`
      return failWaiting(futures.failed(reason, "user"))
    }).pipe(Effect.uninterruptible, Effect.delay(options.gapTimeout))

  // starts what can run, and the clock for what is missing
  const advance: Effect.Effect<void> = Effect.suspend(() => {
    if (running || ended !== undefined) return Effect.void
    const closeGap = gap !== undefined && (gap.missing !== next || waiting.has(next)) ? gap : undefined
    if (closeGap !== undefined) gap = undefined
    const stop = closeGap === undefined ? Effect.void : Fiber.interruptFork(closeGap.fiber)
    if (waiting.has(next)) {
      running = true
      const run = Effect.ensuring(
        drain,
        Effect.sync(() => {
          running = false
        })
      ).pipe(Effect.zipRight(Effect.suspend(() => advance)))
      return Effect.zipRight(stop, Effect.forkIn(Effect.interruptible(run), options.scope))
    }
    if (waiting.size === 0 || gap !== undefined) return stop
    const missing = next
    return stop.pipe(
      Effect.zipRight(Effect.forkIn(Effect.interruptible(expire(missing)), options.scope)),
      Effect.map((fiber) => {
        gap = { fiber, missing }
      })
    )
  })

  const use = (seqId: number, fingerprint: string): futures.Ticket | responses.OperationRejection | undefined => {
    if (ended !== undefined) return responses.notFound(ended)
    const slot = slots.get(seqId)
    if (slot !== undefined) {
      return slot.fingerprint === fingerprint
        ? slot.answer
        : responses.conflict(`${options.name}: seq_id ${seqId} was used for another request`)
    }
    return seqId < next
      ? responses.conflict(`${options.name}: seq_id ${seqId} came too late, the wait for it has ended`)
      : undefined
  }

  const take = (seqId: number, slot: Slot, item: Waiting | undefined) => {
    highest = Math.max(highest, seqId)
    slots.set(seqId, slot)
    // what comes again after so many others comes too late
    slots.delete(seqId - slotsKnown)
    waiting.set(seqId, item)
    return advance
  }

  const consumeSeqId: Queue["consumeSeqId"] = (seqId, fingerprint, refusal) =>
    Effect.suspend(() =>
      use(seqId, fingerprint) === undefined ? take(seqId, { fingerprint, answer: refusal }, undefined) : Effect.void
    ).pipe(Effect.uninterruptible)

  return {
    find: (seqId, fingerprint) =>
      Effect.suspend(() => {
        const used = use(seqId, fingerprint)
        return used !== undefined && isRefusal(used) ? Effect.fail(used) : Effect.succeed(used)
      }),
    add: (seqId, { check, entry: makeEntry, fingerprint, work }) =>
      Effect.suspend((): Effect.Effect<futures.Ticket, responses.OperationRejection> => {
        const number = seqId ?? highest + 1
        const used = use(number, fingerprint)
        if (used !== undefined) return isRefusal(used) ? Effect.fail(used) : Effect.succeed(used)
        const refusal = check?.(number)
        if (refusal !== undefined) {
          const burnt = seqId === undefined ? Effect.void : consumeSeqId(seqId, fingerprint, refusal)
          return Effect.zipRight(burnt, Effect.fail(refusal))
        }
        const entry = makeEntry(number)
        return Effect.as(
          take(number, { fingerprint, answer: entry.ticket }, { entry, work: work(number) }),
          entry.ticket
        )
      }).pipe(Effect.uninterruptible),
    consumeSeqId,
    end: (reason) =>
      Effect.suspend(() => {
        ended = reason
        slots.clear()
        return failWaiting(futures.failed(reason, "server"))
      }),
    isAwaited: (seqId) => seqId !== undefined && (seqId < highest || seqId === next),
    missing: () => (running || waiting.size === 0 || waiting.has(next) ? undefined : next),
    isBusy: Effect.sync(() => running || waiting.size > 0)
  }
}
