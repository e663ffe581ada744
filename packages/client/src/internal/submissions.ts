import type * as Future from "@effect-tinker/api/Future"
import type { ProtobufDecodeError } from "@effect-tinker/api/ProtobufCodec"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as QueueState from "../QueueState.ts"
import * as TinkerFuture from "../TinkerFuture.ts"
import type * as TinkerClient from "../TinkerClient.ts"
import { retrieve } from "./retrieve.ts"

type Envelope = Deferred.Deferred<Future.FutureEnvelope, TinkerError.TinkerError>

interface Unit {
  readonly method: string
  /** whether the service's state is another without it, so that nothing may follow if it cannot be submitted */
  readonly changesTraining: boolean
  readonly requests: ReadonlyArray<{
    readonly seqId: number
    readonly send: Effect.Effect<Future.FutureEnvelope, TinkerError.TinkerError>
    readonly envelope: Envelope
  }>
}

/** @internal */
export interface Operation<A, I, B> {
  readonly method: string
  readonly type: Future.RequestType
  readonly schema: Schema.Schema<A, I>
  readonly protobuf?: ((bytes: Uint8Array) => Either.Either<A, ProtobufDecodeError>) | undefined
  readonly changesTraining: boolean
  /** how many requests the operation takes */
  readonly count: number
  readonly send: (seqId: number, index: number) => Effect.Effect<Future.FutureEnvelope, TinkerError.TinkerError>
  readonly combine: (results: ReadonlyArray<A>) => B
}

/** @internal */
export interface Submissions {
  /** Reserves the operation's numbers and its place, and returns its future. It never waits. */
  readonly submit: <A, I, B>(operation: Operation<A, I, B>) => Effect.Effect<TinkerFuture.TinkerFuture<B>>
}

// a definite no, as opposed to an answer that was lost
const isRefusal = (error: TinkerError.TinkerError) => "status" in error && error.status < 500 && !error.isRetryable

/**
 * The queue of one model. Numbers are reserved synchronously in call order; one fiber of the client's scope submits, so
 * that no caller's interruption can leave a gap or split an operation. When a request cannot be submitted, the rest of
 * its operation and all that come after fail with `ClientBroken`: they were not sent.
 *
 * @internal
 */
export const make = (
  client: TinkerClient.Service,
  scope: Scope.Scope,
  queueState: QueueState.Observer
): Effect.Effect<Submissions> =>
  Effect.gen(function* () {
    const queue = yield* Queue.unbounded<Unit>()
    let nextSeqId = 1
    let broken:
      | { readonly operation: string; readonly seqId: number; readonly cause: TinkerError.TinkerError }
      | undefined

    const refuse = (unit: Unit, envelope: Envelope) =>
      Deferred.fail(
        envelope,
        new TinkerError.ClientBroken({
          method: unit.method,
          operation: broken!.operation,
          seqId: broken!.seqId,
          cause: broken!.cause
        })
      )

    const run = Effect.fnUntraced(function* (unit: Unit) {
      for (const { envelope, send, seqId } of unit.requests) {
        if (broken !== undefined) {
          yield* refuse(unit, envelope)
          continue
        }
        const exit = yield* Effect.exit(send)
        if (Exit.isFailure(exit) && exit.cause._tag === "Fail") {
          const cause = exit.cause.error
          if (unit.changesTraining || !isRefusal(cause)) broken = { operation: unit.method, seqId, cause }
        }
        yield* Deferred.done(envelope, exit)
      }
    })

    yield* Queue.take(queue).pipe(Effect.flatMap(run), Effect.forever, Effect.interruptible, Effect.forkIn(scope))

    const submit: Submissions["submit"] = (operation) =>
      Effect.suspend(() => {
        const seqIds = Array.from({ length: operation.count }, () => nextSeqId++)
        const requests = seqIds.map((seqId, index) => ({
          seqId,
          send: operation.send(seqId, index),
          envelope: Deferred.unsafeMake<Future.FutureEnvelope, TinkerError.TinkerError>(fiberId)
        }))
        queue.unsafeOffer({ method: operation.method, changesTraining: operation.changesTraining, requests })
        return TinkerFuture.make({
          method: operation.method,
          seqIds,
          scope,
          run: Effect.forEach(
            requests,
            ({ envelope }) =>
              Effect.flatMap(Deferred.await(envelope), ({ request_id }) =>
                retrieve(client, {
                  method: operation.method,
                  requestId: request_id,
                  type: operation.type,
                  schema: operation.schema,
                  protobuf: operation.protobuf,
                  queue: queueState
                })
              ),
            { concurrency: "unbounded" }
          ).pipe(Effect.map(operation.combine))
        })
      }).pipe(Effect.uninterruptible)

    const fiberId = yield* Effect.fiberId
    return { submit }
  })
