/** Sampling sessions: created by a request or by a save, joined by further clients. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as checkpoints from "../checkpoints/access.ts"
import * as fingerprint from "../util/fingerprint.ts"
import * as responses from "../util/responses.ts"
import { requireBaseModel } from "../work/baseModels.ts"
import type { Environment } from "../work/environment.ts"
import type * as sessions from "../work/sessions.ts"
import type { SamplerRecord, Samplers, Source } from "./samplers.ts"

/** The id of a sampling session that a save will fill. @internal */
export interface Reservation {
  readonly id: string
  readonly fill: (source: Source) => void
}

const samplerId = (session: sessions.Session, seqId: number) => `${session.id}:sample:${seqId}`

const seqIdTaken = (seqId: number) =>
  responses.conflict(`sampling_session_seq_id ${seqId} was used for another request`)

/** Creates a sampling session, or finds the one that the same request created. @internal */
export const createSamplingSession = Effect.fnUntraced(function* (
  samplers: Samplers,
  session: sessions.Session,
  request: Sampling.CreateSamplingSessionRequest
): Effect.fn.Return<string, responses.OperationRejection> {
  const { base_model, model_path, sampling_session_seq_id: seqId } = request
  if (seqId < 0) return yield* responses.badRequest(`sampling_session_seq_id is ${seqId}, which is below 0`)
  const id = samplerId(session, seqId)
  const hash = fingerprint.of({ base_model, model_path })
  const findSame = Effect.suspend(() => {
    const before = samplers.records.get(id)
    return before === undefined || before.fingerprint === hash ? Effect.succeed(before) : seqIdTaken(seqId)
  })
  if ((yield* findSame) !== undefined) return id
  const source = yield* resolveSource(samplers.environment, request)
  return yield* Effect.flatMap(findSame, (before) => {
    if (!session.isLive()) return responses.notFound(`session ${session.id} has ended`)
    if (before === undefined) samplers.register({ id, session, fingerprint: hash, source })
    return Effect.succeed(id)
  })
})

/** Takes the id of a sampling session, the next free one if `requested` is absent, for a save to fill. @internal */
export const reserveSamplingSession = (
  samplers: Samplers,
  session: sessions.Session,
  requested: number | undefined
): Reservation | responses.OperationRejection => {
  const { records } = samplers
  let seqId = requested ?? 0
  if (requested === undefined) while (records.has(samplerId(session, seqId))) seqId++
  const id = samplerId(session, seqId)
  if (records.has(id)) return seqIdTaken(seqId)
  const record = samplers.register({ id, session, fingerprint: undefined, source: undefined })
  return {
    id,
    fill: (source) => {
      record.source = source
      samplers.describeAs(session, id, source)
    }
  }
}

/** Adds a client to a sampling session, and returns its number. @internal */
export const joinSamplingSession = (
  samplers: Samplers,
  id: string
): Effect.Effect<number, responses.OperationRejection> => Effect.map(samplers.find(id), (record) => ++record.joined)

/** The sampler of a request: its sampling session, or one that all samples from the same model share. @internal */
export const findSampler = (
  samplers: Samplers,
  request: Sampling.SampleRequest
): Effect.Effect<SamplerRecord, responses.OperationRejection> =>
  request.sampling_session_id === undefined
    ? Effect.map(resolveSource(samplers.environment, request), (source) => {
        const id = source.path === undefined ? `base:${source.base_model}` : TinkerPath.format(source.path)
        return samplers.records.get(id) ?? samplers.register({ id, session: undefined, fingerprint: undefined, source })
      })
    : samplers.find(request.sampling_session_id)

/** Resolves what a request samples from. Rejects what does not exist, or what the user may not read. */
const resolveSource = Effect.fnUntraced(function* (
  environment: Environment,
  request: { readonly base_model?: string | undefined; readonly model_path?: string | undefined }
): Effect.fn.Return<Source, responses.OperationRejection> {
  const { base_model, model_path } = request
  if (base_model !== undefined) yield* requireBaseModel(environment.engine, base_model)
  if (model_path === undefined) {
    return base_model === undefined
      ? yield* responses.badRequest("give base_model or model_path, so that there is something to sample from")
      : { base_model }
  }
  const parsed = TinkerPath.parse(model_path)
  if (Option.isNone(parsed)) {
    return yield* responses.badRequest(`model_path ${JSON.stringify(model_path)} is not a checkpoint path`)
  }
  const path = parsed.value
  if (path.kind !== "sampler_weights") {
    return yield* responses.badRequest(
      `${model_path} holds no sampler weights: pass the path that save_weights_for_sampler returned`
    )
  }
  const info = yield* checkpoints.findReadable(environment.store, path)
  if (base_model !== undefined && base_model !== info.base_model) {
    return yield* responses.badRequest(`${model_path} is of base model ${info.base_model}, not of ${base_model}`)
  }
  yield* requireBaseModel(environment.engine, info.base_model)
  return { base_model: info.base_model, path }
})
