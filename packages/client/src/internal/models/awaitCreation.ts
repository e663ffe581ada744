/** Submits the request that creates a model, and waits for its result. */
import type * as Future from "@effect-tinker/api/Future"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as QueueState from "../../QueueState.ts"
import type * as Session from "../../Session.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as TinkerFuture from "../../TinkerFuture.ts"
import * as sessionLimits from "../limits/sessionLimits.ts"
import * as progress from "../polling/progress.ts"
import { retrieve } from "../polling/retrieve.ts"
import { instrument, type OperationRecord } from "../telemetry/instrument.ts"
import { withCreationPolicy } from "../session/creationPolicy.ts"
import { retryUnreadable } from "../util/backoff.ts"

/** What the creation of models needs. @internal */
export interface Context {
  readonly client: TinkerClient.Service
  readonly session: Session.Service
}

interface Creation<A, I> {
  readonly method: string
  /** names the wait in logs, such as `Creation of a model on Qwen/Qwen3-8B` */
  readonly description: string
  readonly type: Future.RequestType
  readonly schema: Schema.Schema<A, I>
  /** that of the operation which creates the model, if it has one already */
  readonly record?: OperationRecord | undefined
  readonly send: (
    options: Pick<TinkerClient.CallOptions, "method" | "policy" | "onRetry" | "queue">
  ) => Effect.Effect<Future.FutureEnvelope, TinkerError.TinkerError>
}

/** @internal */
export const awaitCreation = <A, I>(
  { client, session }: Context,
  { description, method, record: given, schema, send, type }: Creation<A, I>
): Effect.Effect<A, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    const noProgressLimit = yield* TinkerFuture.NoProgressLimit
    const queue = yield* QueueState.make(description)
    const create = (record: OperationRecord) =>
      Effect.gen(function* () {
        const { request_id } = yield* withCreationPolicy((policy) =>
          send({ method, policy, onRetry: () => record.noteRetry(), queue })
        ).pipe(retryUnreadable(client.reportRetries(queue).onRetry))
        record.noteAccepted()
        return yield* retrieve(client, {
          method,
          requestId: request_id,
          type,
          schema,
          queue,
          responses: sessionLimits.of(session).responses,
          record,
          progress: progress.make(),
          noProgressLimit
        })
      })
    return yield* given === undefined ? instrument(`ServiceClient.${method}`, {}, create) : create(given)
  })
