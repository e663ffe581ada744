/** Copies a checkpoint into a session or into a project. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as Weights from "@effect-tinker/api/Weights"
import * as Effect from "effect/Effect"
import * as currentUser from "../auth/currentUser.ts"
import * as access from "../checkpoints/access.ts"
import type { ServiceState } from "../queries/serviceState.ts"
import * as responses from "../util/responses.ts"

/** The training run of each recent copy, by `deduplicationKey`. @internal */
export type CopyRuns = Map<string, string>

// beyond this the oldest entry is evicted
const maxCopyRuns = 10_000

/** The run of a copy into a session, under an unused `model_seq_id`. */
const runInSession = ({ model_seq_id, session_id }: Weights.CopyWeightsRequest): string | undefined =>
  session_id !== undefined && model_seq_id !== undefined ? `${session_id}:train:${model_seq_id}` : undefined

/** Rejects a copy without a destination, into a session that has ended, or in the place of a model. */
const checkDestination = Effect.fnUntraced(function* (
  { records, sessions }: ServiceState,
  { destination_project_id, model_seq_id, session_id }: Weights.CopyWeightsRequest,
  run: string | undefined
): Effect.fn.Return<void, responses.OperationRejection> {
  if (run === undefined) {
    if (destination_project_id !== undefined) return
    return yield* responses.badRequest(
      "pass destination_project_id, or session_id and model_seq_id, as the destination"
    )
  }
  yield* Effect.catchTag(sessions.find(session_id!), "GoneResponse", ({ detail }) => responses.notFound(detail))
  if ((yield* Effect.orDie(records.runs.get({ id: run }))) !== undefined) {
    yield* responses.conflict(`model_seq_id ${model_seq_id} is in use by a model`)
  }
})

/** Attempts of one call share it: they carry the same idempotency key. */
const deduplicationKey = (
  owner: string | undefined,
  key: string | undefined,
  { destination_project_id, source_path }: Weights.CopyWeightsRequest
): string | undefined =>
  key === undefined ? undefined : JSON.stringify([owner, key, source_path, destination_project_id])

/** The run of a copy into a project: that of an earlier attempt, or a new one. */
const runInProject = Effect.fnUntraced(function* (
  { sessions }: ServiceState,
  copyRuns: CopyRuns,
  attempt: string | undefined,
  project: string | undefined
) {
  const earlier = attempt === undefined ? undefined : copyRuns.get(attempt)
  if (earlier !== undefined) return earlier
  const { id } = yield* sessions.createPlaceholder(project, "a copy of a checkpoint")
  const run = `${id}:train:0`
  if (attempt !== undefined) copyRuns.set(attempt, run)
  if (copyRuns.size > maxCopyRuns) copyRuns.delete(copyRuns.keys().next().value!)
  return run
})

/** @internal */
export const copyWeights = Effect.fnUntraced(function* (
  state: ServiceState,
  copyRuns: CopyRuns,
  request: Weights.CopyWeightsRequest,
  idempotencyKey: string | undefined
): Effect.fn.Return<Weights.CopyWeightsResponse, responses.OperationRejection> {
  const { admission, auditLog, quota, store } = state
  const { destination_project_id, source_path, ttl_seconds } = request
  yield* access.checkTtl(ttl_seconds)
  const source = yield* access.parsePath(source_path)
  const slot = runInSession(request)
  yield* checkDestination(state, request, slot)
  yield* admission.check
  const { size_bytes: bytes } = yield* access.findReadable(store, source)
  yield* access.orInsufficient(quota.check({ owner: (yield* currentUser.CurrentUser).id, bytes }))
  const { adapter, info, optimizer } = yield* access.orNotFound(store.load(source))
  const { id: owner } = yield* currentUser.CurrentUser
  const attempt = deduplicationKey(owner, idempotencyKey, request)
  const training_run_id = slot ?? (yield* runInProject(state, copyRuns, attempt, destination_project_id))
  const path = { ...source, training_run_id }
  const { user_metadata } = info
  yield* access.orInsufficient(
    store.save({ path, owner, adapter, optimizer, ttl_seconds, user_metadata, overwrite: true })
  )
  yield* auditLog.record(owner, "checkpoint_copied", path, { source_path })
  return { tinker_path: TinkerPath.format(path) }
})
