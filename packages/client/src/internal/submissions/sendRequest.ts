/** Sends one request of an operation, and decides what its end means for the client. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as QueueState from "../../QueueState.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import type { OperationRecord } from "../telemetry/instrument.ts"
import { retryUnreadable } from "../util/backoff.ts"
import type { Breakage } from "./breakage.ts"
import type { Accepted, Sending } from "./operation.ts"
import * as refusals from "./refusal.ts"
import { SeqIds } from "./seqIds.ts"
import type { Role } from "./steps.ts"

/** What all submissions of a client share. @internal */
export interface Sender {
  readonly client: TinkerClient.Service
  readonly queueState: QueueState.Observer
  readonly modelId: string
  readonly breakage: Breakage
  readonly seqIds: SeqIds
}

/** A request that failed. @internal */
export class RequestFailure extends Data.TaggedError("RequestFailure")<{
  readonly error: TinkerError.TinkerError
  /** an earlier attempt may have been accepted */
  readonly mayHaveArrived: boolean
}> {}

/** @internal */
export type Sent<A> = Exit.Exit<Accepted<A>, RequestFailure>

/** What the end of a request means: nothing was sent, it was refused for certain, or nobody knows. @internal */
export type Verdict = "accepted" | "unsent" | "refused" | "doubtful"

type Send<A> = (seqId: number, sending: Sending) => Effect.Effect<Accepted<A>, TinkerError.TinkerError>

/** Sends a request with a sequence number. @internal */
export const sendRequest = <A>(
  { client, queueState, seqIds }: Sender,
  send: Send<A>,
  seqId: number,
  record: OperationRecord
): Effect.Effect<Accepted<A>, RequestFailure> =>
  Effect.suspend(() => {
    let mayHaveArrived = false
    const refused = seqIds.refusedBefore(seqId)
    const sending: Sending = {
      headers: SeqIds.headersFor(refused),
      onRetry: (error) => {
        record.noteRetry()
        mayHaveArrived ||= refusals.isAmbiguous(error)
      },
      queue: queueState
    }
    // judged by the attempts before the last one
    let hadUnreadable = false
    const attempt = Effect.suspend(() => {
      mayHaveArrived ||= hadUnreadable
      return send(seqId, sending)
    })
    return attempt.pipe(
      Effect.tapError((error) => Effect.sync(() => (hadUnreadable ||= error._tag === "DecodeError"))),
      retryUnreadable(client.reportRetries(queueState).onRetry),
      Effect.tap(() => Effect.sync(() => seqIds.noteAccepted(seqId, refused))),
      Effect.mapError((error) => new RequestFailure({ error, mayHaveArrived }))
    )
  })

/** @internal */
export const errorOf = <A, R>(
  self: Effect.Effect<A, RequestFailure, R>
): Effect.Effect<A, TinkerError.TinkerError, R> => Effect.mapError(self, ({ error }) => error)

/** The number that the service expects in place of this one, if it is safe to send the request again with that. @internal */
export const expectedInstead = (
  { seqIds }: Sender,
  seqId: number,
  { error, mayHaveArrived }: RequestFailure
): number | undefined => {
  const expected = refusals.expectedSeqId(error)
  if (expected === undefined || expected === seqId) return undefined
  // numbers of accepted requests are expected again by a service that has lost them, and higher ones after it got this one
  const isSafe = expected < seqId ? expected > seqIds.lastAccepted : !mayHaveArrived
  return isSafe ? expected : undefined
}

/** Notes how a request ended. @internal */
export const noteEnd = <A>(
  { breakage, modelId, seqIds }: Sender,
  operation: { readonly method: string; readonly role: Role },
  seqId: number,
  exit: Sent<A>
): Verdict => {
  if (Exit.isSuccess(exit)) return "accepted"
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
  const reads = operation.role === "reads"
  if (failure !== undefined && refusals.isRefused(failure.error, { ...failure, modelId, reads })) {
    if (failure.error._tag === "InvalidInput") return "unsent"
    seqIds.noteRefused(seqId)
    return "refused"
  }
  breakage.record(
    operation.method,
    seqId,
    Cause.map(exit.cause, ({ error }) => error)
  )
  return "doubtful"
}
