/** Creates models, with fresh adapters or from checkpoints: operation 0 of a model's queue. */
import type * as Future from "@effect-tinker/api/Future"
import * as Model from "@effect-tinker/api/Model"
import * as Weights from "@effect-tinker/api/Weights"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type * as Engine from "../../Engine.ts"
import * as checkpoints from "../checkpoints/access.ts"
import * as fairModel from "../turns/fairModel.ts"
import * as fingerprint from "../util/fingerprint.ts"
import * as size from "../util/size.ts"
import * as responses from "../util/responses.ts"
import { checkLoraConfig, findBaseModel, requireBaseModel, supportedNames } from "../work/baseModels.ts"
import { type Environment, overloaded, tooManyModels } from "../work/environment.ts"
import type * as futures from "../work/futures.ts"
import * as outcomes from "../work/outcomes.ts"
import type * as sessions from "../work/sessions.ts"
import { addFuture, type ModelConfig, type ModelRecord, type Models } from "./models.ts"
import * as runRecords from "./runRecords.ts"

/** A request to create a model, checked. */
interface Creation extends ModelConfig {
  readonly type: Future.RequestType
  /** the contents of the request, by which a repeated one is recognized */
  readonly identity: unknown
  /** runs on the new model before it is available */
  readonly prepare?: ((model: Engine.EngineModel) => Effect.Effect<void, outcomes.Failure>) | undefined
  /** path of the training state that the model is made from */
  readonly origin?: { readonly path: string; readonly steps: number } | undefined
  /** the body of the result */
  readonly result: unknown
}

const defaultLora: Model.LoraConfig = { rank: 32, train_unembed: true, train_mlp: true, train_attn: true }
const encodeCreated = Schema.encodeSync(Model.CreateModelResponse)
const encodeLoaded = Schema.encodeSync(Weights.LoadWeightsResponse)

const modelId = (session: sessions.Session, seqId: number): string => `${session.id}:train:${seqId}`

const checkModelSeqId = (seqId: number): Effect.Effect<void, responses.OperationRejection> =>
  seqId < 0 ? responses.badRequest(`model_seq_id is ${seqId}, which is below 0`) : Effect.void

const checkOptimizer = (config: Model.OptimizerConfig | undefined): Effect.Effect<void, responses.OperationRejection> =>
  config === undefined || config.type === "adamw"
    ? Effect.void
    : responses.badRequest(`optimizer_config.type is ${config.type}; on offer: adamw`)

/** @internal */
export const createModel = Effect.fnUntraced(function* (
  models: Models,
  session: sessions.Session,
  request: Model.CreateModelRequest
): Effect.fn.Return<futures.Receipt, responses.OperationRejection> {
  const { engine } = models.environment
  const { base_model, lora_config = defaultLora, model_seq_id, optimizer_config, user_metadata } = request
  yield* checkModelSeqId(model_seq_id)
  const base = yield* requireBaseModel(engine, base_model)
  yield* checkLoraConfig(lora_config)
  yield* checkOptimizer(optimizer_config)
  const id = modelId(session, model_seq_id)
  return yield* submitCreation(models, {
    type: "CreateModel",
    id,
    session,
    base,
    lora_config,
    user_metadata,
    identity: { base_model, lora_config, optimizer_config, user_metadata },
    result: encodeCreated({ model_id: id, type: "create_model" })
  })
})

/** Creates a model with the base model and LoRA config of a checkpoint, and loads it. @internal */
export const createModelFromCheckpoint = Effect.fnUntraced(function* (
  models: Models,
  session: sessions.Session,
  request: Weights.CreateFromWeightsRequest
): Effect.fn.Return<futures.Receipt, responses.OperationRejection> {
  const { store } = models.environment
  const { base_model, model_seq_id, optimizer, optimizer_config, user_metadata } = request
  yield* checkModelSeqId(model_seq_id)
  yield* checkOptimizer(optimizer_config)
  const path = yield* checkpoints.parseTrainingPath(request.path)
  const info = yield* checkpoints.findReadable(store, path)
  const base = yield* baseModelOf(models, request, info.base_model)
  if (optimizer && info.optimizer_step === undefined) {
    return yield* responses.badRequest(`${request.path} holds no state of the optimizer`)
  }
  const id = modelId(session, model_seq_id)
  return yield* submitCreation(models, {
    type: "LoadWeights",
    id,
    session,
    base,
    lora_config: info.lora_config,
    user_metadata,
    identity: { path: request.path, optimizer, optimizer_config, base_model, user_metadata },
    origin: { path: request.path, steps: optimizer ? (info.optimizer_step ?? 0) : 0 },
    prepare: (model) =>
      Effect.flatMap(Effect.withSpan(store.load(path), "tinker.server.storage"), (found) => model.load(found.adapter, optimizer ? found.optimizer : undefined)),
    result: encodeLoaded({ path: request.path, model_id: id, type: "load_weights" })
  })
})

/** The base model of a checkpoint, if it is the requested one and is supported. */
const baseModelOf = (
  { environment: { engine } }: Models,
  request: Weights.CreateFromWeightsRequest,
  base_model: string
): Effect.Effect<Engine.BaseModel, responses.OperationRejection> => {
  if (request.base_model !== undefined && request.base_model !== base_model) {
    return responses.badRequest(`${request.path} is of base model ${base_model}, not of ${request.base_model}`)
  }
  const base = findBaseModel(engine, base_model)
  return base === undefined
    ? responses.badRequest(`${request.path} is of base model ${base_model}; on offer: ${supportedNames(engine)}`)
    : Effect.succeed(base)
}

/** Registers the model and queues its creation as operation 0. */
const submitCreation = Effect.fnUntraced(function* (
  models: Models,
  creation: Creation
): Effect.fn.Return<futures.Receipt, responses.OperationRejection> {
  const { base, id, session, type } = creation
  const parent = yield* outcomes.currentParentSpan
  const now = yield* Clock.currentTimeMillis
  const bytes = size.of(creation.identity)
  const rejection = models.get(id) === undefined ? overloaded(models.environment, session.load, bytes) : undefined
  if (rejection !== undefined) return yield* rejection
  const submit = (record: ModelRecord) =>
    record.queue.add(0, {
      fingerprint: fingerprint.of(creation.identity),
      entry: (seqId) => addFuture(models, record, type, seqId, bytes),
      work: () =>
        outcomes.runOperation(
          type,
          parent,
          { model_id: id, base_model: base.model_name },
          createInEngine(models, record, creation)
        )
    })
  return yield* Effect.suspend((): Effect.Effect<futures.Receipt, responses.OperationRejection> =>
    session.isLive()
      ? Effect.flatMap(findOrAdd(models, creation, now), submit)
      : responses.notFound(`session ${session.id} has ended`)
  ).pipe(
    Effect.tap(() => Effect.orDie(models.environment.records.mark())),
    Effect.uninterruptible
  )
})

const findOrAdd = (
  models: Models,
  creation: Creation,
  now: number
): Effect.Effect<ModelRecord, responses.OperationRejection> => {
  const before = models.get(creation.id)
  return before === undefined
    ? Effect.gen(function* () {
        yield* models.environment.admission.check
        const { session } = creation
        const rejection = tooManyModels(models.environment, session.load.user)
        if (rejection !== undefined) return yield* rejection
        const resources = yield* Scope.fork(session.resources, ExecutionStrategy.sequential)
        const record = models.add(creation, resources, now)
        yield* runRecords.add(models.environment, record)
        yield* session.onEnd(Effect.sync(() => models.release(record)))
        return record
      })
    : Effect.succeed(before)
}

const recordOrigin = (environment: Environment, record: ModelRecord, { origin }: Creation): Effect.Effect<void> => {
  if (origin === undefined) return Effect.void
  record.steps = origin.steps
  return runRecords.setSaved(environment, record, origin.path)
}

/** Creates the model in the engine. It is released with the resources of the record. */
const createInEngine = (
  { environment }: Models,
  record: ModelRecord,
  creation: Creation
): Effect.Effect<outcomes.Done, outcomes.Failure> => {
  const { engine, turns } = environment
  const { base, id, lora_config, prepare, result, session } = creation
  const { owner } = session
  return turns.run(fairModel.smallClaim(owner, id), engine.createModel({ base_model: base.model_name, lora_config })).pipe(
    Scope.extend(record.resources),
    Effect.map((model) => fairModel.make(turns, owner, id, model)),
    Effect.tap((model) => prepare?.(model) ?? Effect.void),
    Effect.tap(() => runRecords.setState(environment, record, "created")),
    Effect.tap(() => recordOrigin(environment, record, creation)),
    Effect.tap((model) => {
      record.state = { _tag: "Created", model }
      return Scope.addFinalizer(
        record.resources,
        Effect.sync(() => {
          record.state = { _tag: "Unloaded" }
        })
      )
    }),
    Effect.map(() => outcomes.done({ json: () => result })),
    Effect.tapError((error) => {
      record.state = { _tag: "Failed", category: outcomes.categoryOf(error), reason: error.message }
      return runRecords.setState(environment, record, "failed")
    })
  )
}
