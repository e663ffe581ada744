/** Sampling sessions: created by a request or by a save, joined by further clients. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Store from "../../Store.ts"
import * as fingerprint from "../util/fingerprint.ts"
import * as responses from "../util/responses.ts"
import { tooManySamplers } from "../work/environment.ts"
import type * as sessions from "../work/sessions.ts"
import { type SamplerRecord, type Samplers } from "./samplers.ts"
import { checkSource, resolveSource, type Source, sourceId } from "./sources.ts"

/** The id of a sampling session that a save will fill. @internal */
export interface Reservation {
  readonly id: string
  readonly fill: (source: Source) => Effect.Effect<void>
  /** frees the id, unless it was filled */
  readonly release: Effect.Effect<void>
}

const rowOf = (
  { fingerprint, id, joined }: SamplerRecord,
  session: sessions.Session,
  { adapter, base_model, stored }: Source,
  now: number
): Store.SamplerRow => ({
  id,
  session_id: session.id,
  owner: session.owner,
  base_model,
  model_path: stored === undefined ? undefined : TinkerPath.format(stored.path),
  revision: stored?.revision,
  delegated_read_as: stored?.reader.delegatedReadAs,
  ephemeral: adapter !== undefined,
  fingerprint,
  joined,
  created_at: now
})

/** Records a sampling session. The record is committed with the next group. */
const recordSampler = ({ environment }: Samplers, record: SamplerRecord, session: sessions.Session, source: Source) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    environment.records.samplers.later.put(rowOf(record, session, source, now))
  )

const storedSource = ({ delegated_read_as, model_path, owner, revision }: Store.SamplerRow): Source["stored"] => {
  const path = Option.getOrUndefined(TinkerPath.parse(model_path ?? ""))
  if (path === undefined || revision === undefined) return undefined
  return { path, revision, reader: { id: owner, delegatedReadAs: delegated_read_as } }
}

/** Serves the sampling sessions of a session on that an earlier process served. @internal */
export const restoreSamplingSessions = (samplers: Samplers, session: sessions.Session): Effect.Effect<void> =>
  Effect.map(
    Effect.orDie(samplers.environment.records.samplers.list({ where: { session_id: session.id } })),
    (rows) => {
      for (const row of rows) {
        const { base_model, ephemeral, fingerprint, id, joined } = row
        const source: Source = { base_model, stored: storedSource(row) }
        samplers.register({ id, session, fingerprint, source, isLost: ephemeral }).joined = joined
      }
    }
  )

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
  yield* samplers.environment.admission.check
  const source = yield* resolveSource(samplers.environment, request)
  return yield* Effect.flatMap(findSame, (before): Effect.Effect<string, responses.OperationRejection> => {
    if (!session.isLive()) return responses.notFound(`session ${session.id} has ended`)
    if (before !== undefined) return Effect.succeed(id)
    const rejection = tooManySamplers(samplers.environment, session.load.user)
    if (rejection !== undefined) return rejection
    const record = samplers.register({ id, session, fingerprint: hash, source })
    return Effect.as(recordSampler(samplers, record, session, source), id)
  }).pipe(Effect.tap(() => Effect.orDie(samplers.environment.records.mark())))
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
  const rejection = tooManySamplers(samplers.environment, session.load.user)
  if (rejection !== undefined) return rejection
  const record = samplers.register({ id, session, fingerprint: undefined, source: undefined })
  return {
    id,
    fill: (source) => {
      samplers.fill(record, session, source)
      return recordSampler(samplers, record, session, source)
    },
    release: Effect.sync(() => {
      if (record.source === undefined) samplers.unregister(id, session)
    })
  }
}

/** Adds a client to a sampling session, and returns its number. @internal */
export const joinSamplingSession = (
  samplers: Samplers,
  id: string
): Effect.Effect<number, responses.OperationRejection> =>
  Effect.flatMap(samplers.find(id), (record) => {
    const joined = ++record.joined
    return Effect.as(Effect.orDie(samplers.environment.records.samplers.patch({ id, joined })), joined)
  })

/**
 * The sampler of a request: its sampling session, or one that is made for it from a base model or a checkpoint. A session
 * is rejected when its checkpoint is gone, or was replaced, or can no longer be read.
 *
 * @internal
 */
export const findSampler = (
  samplers: Samplers,
  request: Sampling.SampleRequest
): Effect.Effect<SamplerRecord, responses.OperationRejection> =>
  request.sampling_session_id === undefined
    ? Effect.map(resolveSource(samplers.environment, request), (source) =>
        samplers.makeRecord({ id: sourceId(source), session: undefined, fingerprint: undefined, source })
      )
    : Effect.tap(samplers.find(request.sampling_session_id), ({ id, source }) =>
        checkSource(samplers.environment, id, source!)
      )
