/** Sends the requests of one operation. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { OperationRecord } from "../telemetry/instrument.ts"
import type { DurationInput } from "../util/duration.ts"
import type { Accepted, Operation } from "./operation.ts"
import { errorOf, expectedInstead, noteEnd, type Sender, sendRequest, type Sent, type Verdict } from "./sendRequest.ts"

// how long a closing client waits for the other requests of an operation that the service has in part
const gracePeriod: DurationInput = "5 seconds"

/** The sequence numbers of an operation, and what becomes of them. @internal */
export interface Place {
  readonly seqId: (index: number) => number
  /** Moves the numbers, so that the first is the one given, and those of the submissions behind. */
  readonly moveTo: (seqId: number) => void
  /** Passes the last numbers, which were not used, to the submissions behind. */
  readonly release: (count: number) => void
  /** Notes that a request was accepted, or refused. */
  readonly note: (verdict: Verdict, seqId: number) => void
}

/** What the requests of one operation share. */
interface Batch<A> {
  readonly sender: Sender
  readonly operation: Operation<A, never, never>
  readonly place: Place
  readonly record: OperationRecord
  readonly exits: Array<Sent<A> | undefined>
  readonly verdicts: Array<Verdict | undefined>
}

const isIn = (verdicts: ReadonlyArray<Verdict | undefined>, verdict: Verdict) => verdicts.includes(verdict)

const failureOf = <A>(exit: Sent<A>) =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

const noteExit = <A>({ exits, operation, place, sender, verdicts }: Batch<A>, index: number, exit: Sent<A>) => {
  const seqId = place.seqId(index)
  exits[index] = exit
  verdicts[index] = noteEnd(sender, operation, seqId, exit)
  place.note(verdicts[index], seqId)
}

/** Sends the request at an index, and fails if that leaves the client in doubt. `obeys`: a 409 that names a number is kept. */
const sendAt = <A>(batch: Batch<A>, index: number, obeys: boolean): Effect.Effect<void, "doubtful"> => {
  const { exits, operation, place, record, sender } = batch
  const seqId = place.seqId(index)
  return sendRequest(sender, (seqId, sending) => operation.send(seqId, index, sending), seqId, record).pipe(
    Effect.exit,
    Effect.flatMap((exit) => {
      const failure = failureOf(exit)
      const conflicts = failure !== undefined && expectedInstead(sender, seqId, failure) !== undefined
      if (obeys && conflicts && !isIn(batch.verdicts, "accepted")) exits[index] = exit
      else noteExit(batch, index, exit)
      return sender.breakage.isBroken ? Effect.fail("doubtful" as const) : Effect.void
    })
  )
}

/** Sends requests one after the other. A gradient that cannot be complete is not continued. */
const sendInOrder = <A>(batch: Batch<A>, obeys: boolean): Effect.Effect<void, "doubtful"> => {
  const { operation, verdicts } = batch
  const indices = Array.from({ length: operation.requestCount }, (_, index) => index)
  const isSpoilt = () => operation.role === "gradient" && (isIn(verdicts, "refused") || isIn(verdicts, "unsent"))
  return Effect.forEach(
    indices,
    (index) => Effect.suspend(() => (isSpoilt() || isConflict(batch) ? Effect.void : sendAt(batch, index, obeys))),
    { discard: true }
  )
}

/** Whether a service named another number as the expected one, and has none of the requests. */
const isConflict = <A>({ exits, verdicts }: Batch<A>): boolean =>
  !isIn(verdicts, "accepted") && exits.some((exit, index) => exit !== undefined && verdicts[index] === undefined)

/** Sends all requests but the first concurrently, and then the first: the service applies nothing before it has that. */
const sendFirstLast = <A>(batch: Batch<A>): Effect.Effect<void, "doubtful"> => {
  const { operation, verdicts } = batch
  const rest = Array.from({ length: operation.requestCount - 1 }, (_, index) => index + 1)
  return Effect.andThen(
    Effect.forEach(rest, (index) => sendAt(batch, index, true), { concurrency: "unbounded", discard: true }),
    Effect.suspend(() => {
      noteUnobeyed(batch)
      if (batch.sender.breakage.isBroken) return Effect.fail("doubtful" as const)
      const isSpoilt = operation.role === "gradient" && (isIn(verdicts, "refused") || isIn(verdicts, "unsent"))
      return isSpoilt || isConflict(batch) ? Effect.void : sendAt(batch, 0, false)
    })
  )
}

/** A 409 that named a number leaves doubt where the service has accepted other requests of the operation. */
const noteUnobeyed = <A>(batch: Batch<A>): void => {
  if (isConflict(batch)) return
  for (const [index, exit] of batch.exits.entries()) {
    if (exit !== undefined && batch.verdicts[index] === undefined) noteExit(batch, index, exit)
  }
}

/** Sends all requests again, one after the other, from the number that the service expects. */
const obey = <A>(batch: Batch<A>): Effect.Effect<void, "doubtful"> =>
  Effect.suspend(() => {
    const { exits, place, sender, verdicts } = batch
    if (!isConflict(batch)) return Effect.void
    const index = exits.findIndex((exit, i) => exit !== undefined && verdicts[i] === undefined)
    const expected = expectedInstead(sender, place.seqId(index), failureOf(exits[index]!)!)!
    place.moveTo(expected)
    exits.length = 0
    verdicts.length = 0
    return Effect.andThen(
      Effect.logDebug(`${batch.operation.method}: the service expects seq_id ${expected}`),
      sendInOrder(batch, false)
    )
  })

/**
 * Deals with the numbers of requests that were not sent: the last ones pass to the submissions behind; in place of the
 * others goes a request that changes nothing, for the service would wait for them.
 */
const settleUnsent = <A>(batch: Batch<A>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { operation, place, record, sender, verdicts } = batch
    const isUsed = (index: number) => verdicts[index] === "accepted" || verdicts[index] === "refused"
    const indices = Array.from({ length: operation.requestCount }, (_, index) => index)
    const used = indices.findLastIndex(isUsed) + 1
    const donor = Math.max(0, verdicts.indexOf("accepted"))
    const { fill } = operation
    const missing = indices.slice(0, used).filter((index) => !isUsed(index))
    if (used < indices.length) place.release(indices.length - used)
    return Effect.forEach(
      fill === undefined ? [] : missing,
      (index) => {
        const seqId = place.seqId(index)
        return sendRequest(sender, (seqId, sending) => fill!(seqId, donor, sending), seqId, record).pipe(
          Effect.onExit((exit) =>
            Effect.sync(() => {
              const verdict = noteEnd(sender, { method: operation.method, role: "reads" }, seqId, exit)
              if (verdict === "unsent") sender.seqIds.noteRefused(seqId)
            })
          ),
          Effect.ignore
        )
      },
      { discard: true }
    )
  })

/** Of what was not sent, or was interrupted, nobody knows whether the service has it. */
const noteDoubt = <A>({ operation, place, sender, verdicts }: Batch<A>): void => {
  for (let index = 0; index < operation.requestCount; index++) {
    if (verdicts[index] === undefined) sender.breakage.addDoubtful(place.seqId(index))
  }
}

/** Lets an effect finish within the grace period after an interruption, if `isStarted` by then. */
const finishWithinGracePeriod = (effect: Effect.Effect<void>, isStarted: () => boolean): Effect.Effect<void> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDaemon(Effect.interruptible(effect)), (fiber) => {
      const finish = Effect.suspend(() =>
        isStarted() ? Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), gracePeriod) : Effect.void
      )
      return Effect.onInterrupt(restore(Fiber.join(fiber)), () => Effect.andThen(finish, Fiber.interrupt(fiber)))
    })
  )

/** Sends the only request of an operation. */
const sendSingle = <A>(batch: Batch<A>): Effect.Effect<ReadonlyArray<Accepted<A>>, TinkerError.TinkerError> => {
  const { operation, place, record, sender } = batch
  const send = Effect.suspend(() =>
    sendRequest(sender, (seqId, sending) => operation.send(seqId, 0, sending), place.seqId(0), record)
  )
  return send.pipe(
    Effect.catchAll((failure) => {
      const expected = expectedInstead(sender, place.seqId(0), failure)
      if (expected === undefined) return Effect.fail(failure)
      place.moveTo(expected)
      return Effect.andThen(Effect.logDebug(`${operation.method}: the service expects seq_id ${expected}`), send)
    }),
    Effect.onExit((exit) =>
      Effect.sync(() => {
        noteExit(batch, 0, exit)
        if (batch.verdicts[0] === "unsent") place.release(1)
      })
    ),
    errorOf,
    Effect.map((accepted) => [accepted])
  )
}

/**
 * Sends all requests of an operation. One that is refused does not stop those that only read, for no sequence number may be
 * missing; one that leaves doubt stops them all. A 409 that names the number it expects is obeyed once.
 *
 * @internal
 */
export const sendRequests = <A, I, B>(
  sender: Sender,
  operation: Operation<A, I, B>,
  place: Place,
  record: OperationRecord
): Effect.Effect<ReadonlyArray<Accepted<A>>, TinkerError.TinkerError> =>
  Effect.suspend(() => {
    const batch: Batch<A> = { sender, operation: operation as never, place, record, exits: [], verdicts: [] }
    if (operation.requestCount === 1) return sendSingle(batch)
    const sendAll = (operation.parallel === true ? sendFirstLast(batch) : sendInOrder(batch, true)).pipe(
      Effect.andThen(obey(batch)),
      Effect.andThen(settleUnsent(batch)),
      Effect.catchAll(() => Effect.sync(() => noteDoubt(batch)))
    )
    return Effect.flatMap(
      finishWithinGracePeriod(sendAll, () => isIn(batch.verdicts, "accepted")),
      () => errorOf(Effect.all(batch.exits.filter((exit) => exit !== undefined)))
    )
  })
