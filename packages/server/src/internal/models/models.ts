/** The models of all sessions: their records, found by id. */
import type * as Future from "@effect-tinker/api/Future"
import type * as Model from "@effect-tinker/api/Model"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Engine from "../../Engine.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as responses from "../util/responses.ts"
import type { Environment } from "../work/environment.ts"
import { missingModel } from "../work/lostModels.ts"
import type * as futures from "../work/futures.ts"
import type * as sessions from "../work/sessions.ts"
import { FailedPasses } from "./failedPasses.ts"
import { ModelQueue } from "./modelQueue.ts"

/** @internal */
export type ModelState =
  | { readonly _tag: "Waiting" }
  | { readonly _tag: "Created"; readonly model: Engine.EngineModel }
  | { readonly _tag: "Failed"; readonly reason: string; readonly category: Future.Category }
  | { readonly _tag: "Unloaded" }

/** What a model is made with. @internal */
export interface ModelConfig {
  readonly id: string
  readonly session: sessions.Session
  readonly base: Engine.BaseModel
  readonly lora_config: Model.LoraConfig
  readonly user_metadata: { readonly [key: string]: string } | undefined
}

/** A model, from the submission of `create_model` on. @internal */
export interface ModelRecord extends ModelConfig {
  readonly queue: ModelQueue
  /** holds the engine's model; closed when the session ends or the model is unloaded */
  readonly resources: Scope.CloseableScope
  /** milliseconds since the epoch */
  lastRequest: number
  /** steps of its optimizer, with those of the state that was loaded into it */
  steps: number
  /** `<kind>/<name>` of checkpoints that queued operations will save, and how many of them will */
  readonly names: Map<string, number>
  /** those of the step that is not ended */
  readonly failedPasses: FailedPasses
  state: ModelState
  /** sizes of its checkpoints in bytes, without and with the state of the optimizer; read when a quota needs them */
  sizes?: { readonly adapter: number; readonly state: number }
}

/** @internal */
export class Models {
  readonly environment: Environment
  private readonly records = new Map<string, ModelRecord>()

  constructor(environment: Environment) {
    this.environment = environment
  }

  add(config: ModelConfig, resources: Scope.CloseableScope, now: number): ModelRecord {
    const { futures, settings } = this.environment
    const { base, id, lora_config, session, user_metadata } = config
    const failedPasses = new FailedPasses()
    const record: ModelRecord = {
      id,
      session,
      base,
      lora_config,
      user_metadata,
      resources,
      lastRequest: now,
      steps: 0,
      queue: new ModelQueue({
        scope: session.workers,
        futures,
        gapTimeout: settings.gapTimeout,
        maxAhead: settings.maxPending,
        name: `model ${id}`,
        onMissing: (seqId, reason) => failedPasses.noteMissing(seqId, reason)
      }),
      names: new Map(),
      failedPasses,
      state: { _tag: "Waiting" }
    }
    session.queues.add(record.queue)
    session.load.user.models++
    this.records.set(id, record)
    return record
  }

  /** How many models belong to sessions that have not ended. */
  get size(): number {
    return this.records.size
  }

  /** Drops a model at the end of its session. The store knows what is listed of it. */
  release({ id, session }: ModelRecord): void {
    if (this.records.delete(id)) session.load.user.models--
  }

  /** The model, of any user. */
  get(id: string): ModelRecord | undefined {
    return this.records.get(id)
  }

  /** The user's model, if this process holds it. */
  find(id: string): Effect.Effect<ModelRecord, responses.NotFound> {
    return Effect.suspend(() => {
      const record = this.records.get(id)
      const missing = () => responses.notFound(`there is no model ${id}`)
      return record === undefined
        ? Effect.flatMap(missingModel(this.environment, id), (rejection) => rejection)
        : currentUser.authorize(record.session.owner, () => Effect.succeed(record), missing)
    })
  }
}

/** The future of a model's operation. An unload has no `seq_id`. @internal */
export const addFuture = (
  models: Models,
  record: ModelRecord,
  type: Future.RequestType,
  seqId: number | undefined,
  bytes: number
): futures.Entry =>
  models.environment.futures.add({
    event: { name: type, target: record.id, seq_id: seqId, queued: record.lastRequest },
    receipt: { id: `${record.id}:${seqId ?? "unload"}`, envelope: { model_id: record.id } },
    touch: record.session.touch,
    load: record.session.load,
    bytes,
    state: () => {
      const { missing } = record.queue
      return missing === undefined
        ? { queue_state: "active" }
        : { queue_state: "active", queue_state_reason: `waiting for seq_id ${missing}, which has not arrived` }
    }
  })

/** @internal */
export const modelInfo = ({ base, id, lora_config }: ModelRecord): Model.GetInfoResponse => ({
  model_id: id,
  model_data: { arch: base.arch, model_name: base.model_name, tokenizer_id: base.tokenizer_id },
  optimizer_config: { type: "adamw" },
  is_lora: true,
  lora_rank: lora_config.rank,
  model_name: base.model_name,
  type: "get_info"
})
