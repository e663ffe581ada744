/** The operation that loads a checkpoint into a model. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Weights from "@effect-tinker/api/Weights"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import * as Engine from "../../Engine.ts"
import * as checkpoints from "../checkpoints/access.ts"
import * as responses from "../util/responses.ts"
import type { Environment } from "../work/environment.ts"
import * as outcomes from "../work/outcomes.ts"
import type { ModelRecord } from "./models.ts"
import * as runRecords from "./runRecords.ts"
import type { Operation } from "./submitOperation.ts"

const encodeLoaded = Schema.encodeSync(Weights.LoadWeightsResponse)

/** @internal */
export const loadWeights = (
  environment: Environment,
  record: ModelRecord,
  request: Weights.LoadWeightsRequest
): Operation => {
  const parsed = TinkerPath.parse(request.path)
  return {
    type: "LoadWeights",
    seqId: request.seq_id,
    identity: { path: request.path, optimizer: request.optimizer },
    validate: Effect.suspend(() => validate(environment, record, request.path, parsed)),
    check: (seqId) => lateLoad(environment, seqId),
    run: (model) =>
      Effect.gen(function* () {
        const checkpoint = yield* Effect.withSpan(
          environment.store.load(Option.getOrThrow(parsed)),
          "tinker.server.storage"
        )
        const problem = mismatch(record, request, checkpoint)
        if (problem !== undefined) return yield* new Engine.EngineError({ reason: problem, category: "user" })
        yield* model.load(checkpoint.adapter, request.optimizer ? checkpoint.optimizer : undefined)
        if (request.optimizer) record.steps = checkpoint.optimizer?.step ?? record.steps
        record.failedPasses.clear()
        yield* runRecords.setSaved(environment, record, request.path)
        const body = { path: request.path, model_id: record.id, type: "load_weights" } as const
        return outcomes.done({ json: () => encodeLoaded(body) })
      })
  }
}

/** The rejection of a load into a model that was used, where the service is strict. */
const lateLoad = ({ settings }: Environment, seqId: number) =>
  settings.strictLoad && seqId > 1
    ? responses.badRequest(
        `LoadWeights is not permitted with seq_id ${seqId}: load into a new model, before anything else`
      )
    : undefined

const validate = (
  { store }: Environment,
  record: ModelRecord,
  text: string,
  parsed: Option.Option<TinkerPath.TinkerPath>
): Effect.Effect<void, responses.OperationRejection> => {
  if (Option.isNone(parsed)) return responses.badRequest(`path ${JSON.stringify(text)} is not a checkpoint path`)
  const path = parsed.value
  if (path.kind !== "weights") {
    return responses.badRequest(`${text} is not a training checkpoint: pass the path that save_weights returned`)
  }
  // a queued save of this model will have stored it by then
  if (path.training_run_id === record.id && record.names.has(TinkerPath.checkpointId(path))) return Effect.void
  return Effect.matchEffect(store.info(path), {
    onSuccess: (info) => Effect.asVoid(checkpoints.authorizeRead(path, info)),
    onFailure: (error) => (error._tag === "CheckpointNotFound" ? responses.notFound(error.message) : Effect.void)
  })
}

/** Why a checkpoint does not fit the model or the request. */
const mismatch = (
  { base, lora_config }: ModelRecord,
  { optimizer, path }: Weights.LoadWeightsRequest,
  checkpoint: CheckpointStore.Checkpoint
): string | undefined => {
  const { info } = checkpoint
  if (info.base_model !== base.model_name) {
    return `${path} is of base model ${info.base_model}, but the model is of ${base.model_name}`
  }
  if (info.lora_config.rank !== lora_config.rank) {
    return `${path} has LoRA rank ${info.lora_config.rank}, but the model has rank ${lora_config.rank}`
  }
  return optimizer && checkpoint.optimizer === undefined ? `${path} holds no state of the optimizer` : undefined
}
