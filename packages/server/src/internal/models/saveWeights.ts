/** The operations that save a model: training states, sampler weights, and exports. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Weights from "@effect-tinker/api/Weights"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import type * as Engine from "../../Engine.ts"
import { checkTtl } from "../checkpoints/access.ts"
import * as adapterFiles from "../checkpoints/adapterFiles.ts"
import { type Reservation, reserveSamplingSession } from "../sampling/samplingSessions.ts"
import type { Samplers } from "../sampling/samplers.ts"
import * as responses from "../util/responses.ts"
import type { Environment } from "../work/environment.ts"
import * as outcomes from "../work/outcomes.ts"
import type { ModelRecord } from "./models.ts"
import * as runRecords from "./runRecords.ts"
import type { Operation } from "./submitOperation.ts"
import { accountOf } from "./trainingOps.ts"

const encodeSaved = Schema.encodeSync(Weights.SaveWeightsResponse)
const encodeSampler = Schema.encodeSync(Weights.SaveWeightsForSamplerResponse)
const encodeExternal = Schema.encodeSync(Weights.SaveWeightsExternalResponse)

/** Saves a checkpoint and records it in the usage and audit logs. */
const save = (
  { auditLog, store, usageLog }: Environment,
  record: ModelRecord,
  options: Omit<CheckpointStore.SaveOptions, "owner">
) => {
  const { owner } = record.session
  return Effect.tap(Effect.withSpan(store.save({ ...options, owner }), "tinker.server.storage"), () =>
    Effect.flatMap(usageLog.record({ ...accountOf(record), type: "checkpoint", count: 1 }), () =>
      auditLog.record(owner, "checkpoint_created", options.path)
    )
  )
}

/** The size of a model's checkpoint in bytes. It does not change while the model trains. */
const sizeOf = (record: ModelRecord, model: Engine.EngineModel, kind: TinkerPath.Kind) =>
  Effect.gen(function* () {
    record.sizes ??= {
      adapter: adapterFiles.sizeOf(yield* model.adapter, undefined),
      state: adapterFiles.sizeOf(yield* model.adapter, yield* model.optimizer)
    }
    return kind === "weights" ? record.sizes.state : record.sizes.adapter
  })

const badName = (name: string) =>
  responses.badRequest(
    `path ${JSON.stringify(name)} is not a checkpoint name: use letters, digits, "_", "-" and "."; the first character is not "."`
  )

const nameTaken = (path: TinkerPath.TinkerPath) =>
  responses.conflict(`there is a checkpoint ${TinkerPath.format(path)} already`)

/** The name of a checkpoint to be saved: reserved while the operation is queued or runs. Later the store knows it. */
class CheckpointName {
  private readonly record: ModelRecord
  private readonly kind: TinkerPath.Kind
  private readonly name: string | undefined
  private readonly overwrite: boolean

  constructor(record: ModelRecord, kind: TinkerPath.Kind, name: string | undefined, overwrite = false) {
    this.record = record
    this.kind = kind
    this.name = name
    this.overwrite = overwrite
  }

  /** The path of the checkpoint. Without a name, the `seq_id` names it. */
  path(seqId: number): TinkerPath.TinkerPath {
    const { kind, name = `seq-${String(seqId).padStart(6, "0")}`, record } = this
    return { training_run_id: record.id, kind, name }
  }

  /** Rejects bad names, and names in the store unless they may be overwritten. */
  validate(store: CheckpointStore.Service): Effect.Effect<void, responses.OperationRejection> {
    const { kind, name, overwrite, record } = this
    return Effect.suspend((): Effect.Effect<void, responses.OperationRejection> => {
      if (name === undefined) return Effect.void
      if (!TinkerPath.isCheckpointName(name)) return badName(name)
      const path = { training_run_id: record.id, kind, name }
      return overwrite
        ? Effect.void
        : Effect.matchEffect(store.info(path), {
            onSuccess: () => nameTaken(path),
            // if the store fails, the operation will report it
            onFailure: () => Effect.void
          })
    })
  }

  /** Rejects a save that does not fit into the user's quota, before it is queued. */
  checkRoom({ quota }: Environment): Effect.Effect<void, responses.OperationRejection> {
    const { kind, name, overwrite, record } = this
    const { session, state } = record
    if (!quota.isLimited || state._tag !== "Created") return Effect.void
    const { owner } = session
    const path = overwrite && name !== undefined ? { training_run_id: record.id, kind, name } : undefined
    return sizeOf(record, state.model, kind).pipe(
      Effect.flatMap((bytes) => quota.check({ owner, bytes, path })),
      Effect.catchAll((error) =>
        // if the engine or the store fails, the operation will report it
        error._tag === "QuotaExceeded" ? responses.insufficientStorage(error.message) : Effect.void
      )
    )
  }

  reserve(seqId: number): responses.OperationRejection | undefined {
    const { names } = this.record
    const path = this.path(seqId)
    const id = TinkerPath.checkpointId(path)
    const count = names.get(id) ?? 0
    if (!this.overwrite && count > 0) return nameTaken(path)
    names.set(id, count + 1)
    return undefined
  }

  release(seqId: number): Effect.Effect<void> {
    return Effect.sync(() => {
      const { names } = this.record
      const id = TinkerPath.checkpointId(this.path(seqId))
      const left = (names.get(id) ?? 0) - 1
      if (left > 0) names.set(id, left)
      else names.delete(id)
    })
  }
}

/** What every save under a name does: it validates and reserves the name, and releases it at the end. */
const namedSave = (
  environment: Environment,
  checkpoint: CheckpointName,
  ttlSeconds: number | undefined,
  run: (model: Engine.EngineModel, path: TinkerPath.TinkerPath) => Effect.Effect<outcomes.Done, outcomes.Failure>
) => ({
  validate: checkTtl(ttlSeconds).pipe(
    Effect.andThen(checkpoint.validate(environment.store)),
    Effect.andThen(checkpoint.checkRoom(environment))
  ),
  check: (seqId: number) => checkpoint.reserve(seqId),
  run: (model: Engine.EngineModel, seqId: number) => run(model, checkpoint.path(seqId)),
  release: (seqId: number) => checkpoint.release(seqId)
})

/** Saves the adapter and the optimizer state, to train on from. @internal */
export const saveWeights = (
  environment: Environment,
  record: ModelRecord,
  request: Weights.SaveWeightsRequest
): Operation => {
  const { overwrite, path: name, seq_id, ttl_seconds, user_metadata } = request
  const checkpoint = new CheckpointName(record, "weights", name, overwrite)
  return {
    type: "SaveWeights",
    seqId: seq_id,
    identity: { name, overwrite, ttl_seconds, user_metadata },
    ...namedSave(environment, checkpoint, ttl_seconds, (model, path) =>
      Effect.gen(function* () {
        const adapter = yield* model.adapter
        const optimizer = yield* model.optimizer
        yield* save(environment, record, { path, adapter, optimizer, overwrite, ttl_seconds, user_metadata })
        yield* runRecords.setSaved(environment, record, TinkerPath.format(path))
        return outcomes.done({ json: () => encodeSaved({ path: TinkerPath.format(path), type: "save_weights" }) })
      })
    )
  }
}

/** Saves the adapter to sample from: as a checkpoint if it has a name, else as a sampling session. @internal */
export const saveWeightsForSampler = (
  environment: Environment,
  record: ModelRecord,
  samplers: Samplers,
  request: Weights.SaveWeightsForSamplerRequest
): Operation =>
  request.path === undefined
    ? saveAsSamplingSession(record, samplers, request)
    : saveSamplerCheckpoint(environment, record, request)

const saveSamplerCheckpoint = (
  environment: Environment,
  record: ModelRecord,
  { kind, path: name, seq_id, ttl_seconds, user_metadata }: Weights.SaveWeightsForSamplerRequest
): Operation => {
  const checkpoint = new CheckpointName(record, "sampler_weights", name)
  return {
    type: "SaveWeightsForSampler",
    seqId: seq_id,
    identity: { name, kind, ttl_seconds, user_metadata },
    ...namedSave(environment, checkpoint, ttl_seconds, (model, path) =>
      Effect.gen(function* () {
        const adapter = yield* model.adapter
        yield* save(environment, record, { path, adapter, ttl_seconds, user_metadata })
        const body = { path: TinkerPath.format(path), type: "save_weights_for_sampler" } as const
        return outcomes.done({ json: () => encodeSampler(body) })
      })
    )
  }
}

const saveAsSamplingSession = (
  record: ModelRecord,
  samplers: Samplers,
  { kind, sampling_session_seq_id, seq_id, ttl_seconds }: Weights.SaveWeightsForSamplerRequest
): Operation => {
  let reservation: Reservation | undefined
  return {
    type: "SaveWeightsForSampler",
    seqId: seq_id,
    // sampling_session_seq_id is left out, because a client that repeats the request takes a new one
    identity: { kind, ttl_seconds },
    validate:
      sampling_session_seq_id !== undefined && sampling_session_seq_id < 0
        ? responses.badRequest(`sampling_session_seq_id is ${sampling_session_seq_id}, which is below 0`)
        : Effect.void,
    check: () => {
      const reserved = reserveSamplingSession(samplers, record.session, sampling_session_seq_id)
      if ("_tag" in reserved) return reserved
      reservation = reserved
      return undefined
    },
    release: () => reservation?.release ?? Effect.void,
    run: (model) =>
      Effect.suspend(() => {
        const { fill, id } = reservation!
        return model.adapter.pipe(
          Effect.flatMap((adapter) => fill({ base_model: record.base.model_name, adapter })),
          Effect.map(() =>
            outcomes.done({ json: () => encodeSampler({ sampling_session_id: id, type: "save_weights_for_sampler" }) })
          )
        )
      })
  }
}

/** Saves the adapter to be downloaded. @internal */
export const saveWeightsExternal = (
  environment: Environment,
  record: ModelRecord,
  request: Weights.SaveWeightsExternalRequest
): Operation => {
  const { age_encryption_recipients = [], path: name, seq_id, ttl_seconds } = request
  const checkpoint = new CheckpointName(record, "external_weights", name)
  const saves = namedSave(environment, checkpoint, ttl_seconds, (model, path) =>
    Effect.gen(function* () {
      const adapter = yield* model.adapter
      const { size_bytes } = yield* save(environment, record, { path, adapter, ttl_seconds })
      const body = { path: TinkerPath.format(path), size_bytes, type: "save_weights_external" } as const
      return outcomes.done({ json: () => encodeExternal(body) })
    })
  )
  return {
    ...saves,
    type: "SaveWeightsExternal",
    seqId: seq_id,
    identity: { name, ttl_seconds, age_encryption_recipients },
    validate:
      age_encryption_recipients.length > 0
        ? responses.badRequest("age_encryption_recipients: this service does not encrypt what it exports")
        : saves.validate
  }
}
