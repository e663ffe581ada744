/** Creates a sampling session. Some services create it in the background, and return the envelope of a future. */
import * as Sampling from "@effect-tinker/api/Sampling"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as QueueState from "../../QueueState.ts"
import type * as Session from "../../Session.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as TinkerFuture from "../../TinkerFuture.ts"
import * as sessionLimits from "../limits/sessionLimits.ts"
import * as progress from "../polling/progress.ts"
import { retrieve } from "../polling/retrieve.ts"
import type { OperationRecord } from "../telemetry/instrument.ts"
import { withCreationPolicy } from "../session/creationPolicy.ts"

const method = "createSamplingClient"

interface Options {
  readonly client: TinkerClient.Service
  readonly session: Session.Service
}

const missing = () => new TinkerError.DecodeError({ method, reason: "sampling_session_id: is missing" })

/** Waits until the service has created the session. */
const awaitSession = (
  { client, session }: Options,
  requestId: string,
  queue: QueueState.Observer,
  record: OperationRecord
) =>
  Effect.gen(function* () {
    const noProgressLimit = yield* TinkerFuture.NoProgressLimit
    const { sampling_session_id } = yield* retrieve(client, {
      method,
      requestId,
      type: "CreateSamplingSession",
      schema: Sampling.CreateSamplingSessionResponse,
      queue,
      responses: sessionLimits.of(session).responses,
      record,
      progress: progress.make(),
      noProgressLimit
    })
    return sampling_session_id ?? (yield* missing())
  })

/** @internal */
export const createSession = (
  options: Options,
  source: { readonly model_path: string } | { readonly base_model: string },
  record: OperationRecord
): Effect.Effect<string, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    const { client, session } = options
    const request = {
      session_id: session.sessionId,
      sampling_session_seq_id: yield* session.nextSamplingSeqId,
      ...source,
      type: "create_sampling_session" as const
    }
    const queue = yield* QueueState.make(
      `Creation of a sampler from ${"base_model" in source ? source.base_model : source.model_path}`
    )
    const { request_id, sampling_session_id } = yield* withCreationPolicy((policy) =>
      client.call(TinkerApi.createSamplingSession, request, {
        method,
        policy,
        queue,
        onRetry: () => record.noteRetry()
      })
    )
    record.noteAccepted()
    if (sampling_session_id !== undefined) return sampling_session_id
    return request_id === undefined ? yield* missing() : yield* awaitSession(options, request_id, queue, record)
  })
