/** Sends operations that only read the model after the client has broken, with the numbers that are in doubt. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import type { OperationRecord } from "../telemetry/instrument.ts"
import type { Accepted, Operation } from "./operation.ts"
import { isSeqIdConflict } from "./refusal.ts"
import { errorOf, noteEnd, type RequestFailure, type Sender, sendRequest } from "./sendRequest.ts"

/** The numbers that one operation has used. */
interface Numbers {
  /** the first that no other operation has */
  nextSeqId: number
  readonly used: Array<number>
}

/**
 * Sends a request with the lowest number that is in doubt. If the service has used that for the request before, it rejects
 * it, and the next one is tried; if it has not, it waits for it. A number that nothing was sent with comes last.
 */
const sendOne = <A, I, B>(
  sender: Sender,
  operation: Operation<A, I, B>,
  index: number,
  numbers: Numbers,
  record: OperationRecord
): Effect.Effect<Accepted<A>, RequestFailure> =>
  Effect.suspend(() => {
    const { breakage } = sender
    const { doubtful } = breakage
    const seqId = doubtful ?? numbers.nextSeqId++
    return sendRequest(sender, (seqId, sending) => operation.send(seqId, index, sending), seqId, record).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          const verdict = noteEnd(sender, operation, seqId, exit)
          if (verdict === "accepted" || verdict === "refused") breakage.settle(seqId)
          if (verdict === "accepted") numbers.used.push(seqId)
        })
      ),
      Effect.catchAll((failure) =>
        doubtful !== undefined && isSeqIdConflict(failure.error)
          ? sendOne(sender, operation, index, numbers, record)
          : Effect.fail(failure)
      )
    )
  })

/**
 * Sends the requests of an operation that reads, one after the other, and returns the numbers that it used. What it reads
 * may have the request in doubt, or not.
 *
 * @internal
 */
export const sendReads = <A, I, B>(
  sender: Sender,
  operation: Operation<A, I, B>,
  firstSeqId: number,
  record: OperationRecord,
  done: (used: ReadonlyArray<number>, nextSeqId: number) => void
): Effect.Effect<ReadonlyArray<Accepted<A>>, TinkerError.TinkerError> =>
  Effect.suspend(() => {
    const numbers: Numbers = { nextSeqId: firstSeqId, used: [] }
    return Effect.forEach(Array.from({ length: operation.requestCount }), (_, index) =>
      sendOne(sender, operation, index, numbers, record)
    ).pipe(Effect.ensuring(Effect.sync(() => done(numbers.used, numbers.nextSeqId))), errorOf)
  })
