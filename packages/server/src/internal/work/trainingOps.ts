import * as Datum from "@effect-tinker/api/Datum"
import * as LossFn from "@effect-tinker/api/LossFn"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Training from "@effect-tinker/api/Training"
import * as Weights from "@effect-tinker/api/Weights"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import * as Engine from "../../Engine.ts"
import * as checkpoints from "../checkpoints/access.ts"
import type { Environment } from "./environment.ts"
import * as futures from "./futures.ts"
import type * as models from "./models.ts"
import * as responses from "../util/responses.ts"
import type * as samplers from "./samplers.ts"

const encodePass = Schema.encodeSync(Training.ForwardBackwardOutput)
const encodeStep = Schema.encodeSync(Training.OptimStepResponse)
const encodeSaved = Schema.encodeSync(Weights.SaveWeightsResponse)
const encodeSampler = Schema.encodeSync(Weights.SaveWeightsForSamplerResponse)
const encodeExternal = Schema.encodeSync(Weights.SaveWeightsExternalResponse)
const encodeLoaded = Schema.encodeSync(Weights.LoadWeightsResponse)

const lengthOf = (input: ModelInput.ModelInput): number => Either.getOrElse(ModelInput.lengthEither(input), () => 0)

const dataProblem = (input: Training.ForwardBackwardInput, maxLength: number): string | undefined => {
  const { data, loss_fn } = input
  if (!LossFn.isKnown(loss_fn)) return `loss_fn ${loss_fn} is not known`
  if (data.length === 0) return "data is empty: give it one datum or more"
  for (let i = 0; i < data.length; i++) {
    const problem = Datum.problem(data[i]!, loss_fn)
    if (problem !== undefined) return `data[${i}].${problem.path} ${problem.reason}`
    const length = lengthOf(data[i]!.model_input)
    if (length > maxLength) {
      return `data[${i}].model_input has ${length} tokens, but the model's context length is ${maxLength}`
    }
  }
  return undefined
}

/** Whom what is done on a model is put down to. */
const accountOf = ({ base, session }: models.ModelRecord) => ({
  owner: session.record.owner,
  session_id: session.id,
  base_model: base.model_name
})

/** Saves a model's state, and puts it down. */
const save = (
  environment: Environment,
  record: models.ModelRecord,
  options: Omit<CheckpointStore.SaveOptions, "owner">
) =>
  Effect.tap(environment.store.save({ ...options, owner: record.session.record.owner }), () =>
    Effect.zipRight(
      environment.usageLog.record({ ...accountOf(record), type: "checkpoint", count: 1 }),
      environment.auditLog.record(record.session.record.owner, "checkpoint_created", options.path)
    )
  )

// made where nothing is at hand that they might hold: results are kept, and inputs are not

const passed = (result: Training.ForwardBackwardOutput) =>
  futures.done({
    json: () => encodePass(result),
    protobuf: () => ProtobufCodec.encodeForwardBackwardOutput(result)
  })

const stepped = (result: Training.OptimStepResponse) => futures.done({ json: () => encodeStep(result) })

/** A forward pass, with or without the gradient. @internal */
export const pass = (
  environment: Environment,
  record: models.ModelRecord,
  seqId: number | undefined,
  type: "Forward" | "ForwardBackward",
  input: Training.ForwardBackwardInput
): models.Operation => ({
  type,
  seqId,
  identity: input,
  validate: Effect.suspend(() => {
    const problem = dataProblem(input, record.base.max_context_length)
    return problem === undefined ? Effect.void : responses.badRequest(problem)
  }),
  run: (model) => {
    const options = {
      data: input.data.map(Datum.toDense),
      loss_fn: input.loss_fn,
      loss_fn_config: LossFn.numericConfig(input.loss_fn_config ?? {})
    }
    const output = type === "Forward" ? model.forward(options) : model.forwardBackward(options)
    const count = input.data.reduce((sum, { model_input }) => sum + lengthOf(model_input), 0)
    return output.pipe(
      Effect.tap(() => environment.usageLog.record({ ...accountOf(record), type: "training", count })),
      Effect.map(passed)
    )
  }
})

/** @internal */
export const optimStep = (seqId: number | undefined, params: Training.AdamParams): models.Operation => ({
  type: "OptimStep",
  seqId,
  identity: params,
  run: (model) => Effect.map(model.optimStep(params), stepped)
})

/** A step of an optimizer that no model here has. @internal */
export const otherStep = (seqId: number | undefined, params: Training.OptimizerParams): models.Operation => ({
  type: "OptimStep",
  seqId,
  identity: params,
  validate: responses.badRequest(
    `optimizer_params.type is ${params.type}, but the model's optimizer is adamw: give adam_params`
  ),
  run: () => Effect.dieMessage("a step that was refused")
})

const badName = (name: string) =>
  responses.badRequest(
    `path ${JSON.stringify(name)} is not a checkpoint name: letters, digits, "_", "-" and "." may stand in it, "." not first`
  )

const nameTaken = (path: TinkerPath.TinkerPath) =>
  responses.conflict(`there is a checkpoint ${TinkerPath.format(path)} already`)

/** Takes the name of a checkpoint, unless it is taken; gives it back when the save fails. */
const reserving = (
  environment: Environment,
  record: models.ModelRecord,
  kind: TinkerPath.Kind,
  options: { readonly name: string | undefined; readonly overwrite: boolean }
) => {
  const pathOf = (seqId: number): TinkerPath.TinkerPath => ({
    training_run_id: record.id,
    kind,
    name: options.name ?? `seq-${String(seqId).padStart(6, "0")}`
  })
  const { name, overwrite } = options
  const validate = Effect.suspend((): Effect.Effect<void, responses.OperationRejection> => {
    if (name === undefined) return Effect.void
    if (!TinkerPath.isCheckpointName(name)) return badName(name)
    const path = { training_run_id: record.id, kind, name }
    // a store that fails is the operation's to report
    return overwrite
      ? Effect.void
      : Effect.matchEffect(environment.store.info(path), {
          onSuccess: () => nameTaken(path),
          onFailure: () => Effect.void
        })
  })
  const check = (seqId: number): responses.OperationRejection | undefined => {
    const path = pathOf(seqId)
    const id = TinkerPath.checkpointId(path)
    if (!overwrite && record.names.has(id)) return nameTaken(path)
    record.names.add(id)
    return undefined
  }
  const release = (seqId: number) =>
    Effect.sync(() => {
      record.names.delete(TinkerPath.checkpointId(pathOf(seqId)))
    })
  return { pathOf, validate, check, release }
}

/** @internal */
export const saveWeights = (
  environment: Environment,
  record: models.ModelRecord,
  request: Weights.SaveWeightsRequest
): models.Operation => {
  const { overwrite, path: name, seq_id, ttl_seconds, user_metadata } = request
  const { check, pathOf, release, validate } = reserving(environment, record, "weights", { name, overwrite })
  return {
    type: "SaveWeights",
    seqId: seq_id,
    identity: { name, overwrite, ttl_seconds, user_metadata },
    validate,
    check,
    run: (model, seqId) =>
      Effect.gen(function* () {
        const path = pathOf(seqId)
        const adapter = yield* model.adapter
        const optimizer = yield* model.optimizer
        yield* save(environment, record, { path, adapter, optimizer, overwrite, ttl_seconds, user_metadata })
        return futures.done({ json: () => encodeSaved({ path: TinkerPath.format(path), type: "save_weights" }) })
      }).pipe(Effect.onError(() => release(seqId)))
  }
}

/** @internal */
export const saveWeightsForSampler = (
  environment: Environment,
  record: models.ModelRecord,
  sampling: samplers.Samplers,
  request: Weights.SaveWeightsForSamplerRequest
): models.Operation => {
  const { kind, path: name, sampling_session_seq_id, seq_id, ttl_seconds, user_metadata } = request
  if (name !== undefined) {
    const { check, pathOf, release, validate } = reserving(environment, record, "sampler_weights", {
      name,
      overwrite: false
    })
    return {
      type: "SaveWeightsForSampler",
      seqId: seq_id,
      identity: { name, kind, ttl_seconds, user_metadata },
      validate,
      check,
      run: (model, seqId) =>
        Effect.gen(function* () {
          const path = pathOf(seqId)
          const adapter = yield* model.adapter
          yield* save(environment, record, { path, adapter, ttl_seconds, user_metadata })
          const body = { path: TinkerPath.format(path), type: "save_weights_for_sampler" } as const
          return futures.done({ json: () => encodeSampler(body) })
        }).pipe(Effect.onError(() => release(seqId)))
    }
  }
  // a client that asks again under the same seq_id draws another number of a sampling session: that is not told apart
  let reservation: samplers.Reservation | undefined
  return {
    type: "SaveWeightsForSampler",
    seqId: seq_id,
    identity: { kind, ttl_seconds },
    validate:
      sampling_session_seq_id !== undefined && sampling_session_seq_id < 0
        ? responses.badRequest(`sampling_session_seq_id is ${sampling_session_seq_id}, which is below 0`)
        : Effect.void,
    check: () => {
      const reserved = sampling.reserve(record.session, sampling_session_seq_id)
      if ("_tag" in reserved) return reserved
      reservation = reserved
      return undefined
    },
    run: (model) =>
      Effect.suspend(() => {
        const { fill, id } = reservation!
        return Effect.map(model.adapter, (adapter) => {
          fill({ base_model: record.base.model_name, adapter })
          return futures.done({
            json: () => encodeSampler({ sampling_session_id: id, type: "save_weights_for_sampler" })
          })
        })
      })
  }
}

/** @internal */
export const saveWeightsExternal = (
  environment: Environment,
  record: models.ModelRecord,
  request: Weights.SaveWeightsExternalRequest
): models.Operation => {
  const { age_encryption_recipients = [], path: name, seq_id, ttl_seconds } = request
  const { check, pathOf, release, validate } = reserving(environment, record, "external_weights", {
    name,
    overwrite: false
  })
  return {
    type: "SaveWeightsExternal",
    seqId: seq_id,
    identity: { name, ttl_seconds, age_encryption_recipients },
    validate:
      age_encryption_recipients.length > 0
        ? responses.badRequest("age_encryption_recipients: this service does not encrypt what it exports")
        : validate,
    check,
    run: (model, seqId) =>
      Effect.gen(function* () {
        const path = pathOf(seqId)
        const adapter = yield* model.adapter
        const { size_bytes } = yield* save(environment, record, { path, adapter, ttl_seconds })
        const body = { path: TinkerPath.format(path), size_bytes, type: "save_weights_external" } as const
        return futures.done({ json: () => encodeExternal(body) })
      }).pipe(Effect.onError(() => release(seqId)))
  }
}

/** @internal */
export const loadWeights = (
  environment: Environment,
  record: models.ModelRecord,
  request: Weights.LoadWeightsRequest
): models.Operation => {
  const parsed = TinkerPath.parse(request.path)
  const userError = (reason: string) => new Engine.EngineError({ reason, category: "user" })
  return {
    type: "LoadWeights",
    seqId: request.seq_id,
    identity: { path: request.path, optimizer: request.optimizer },
    validate: Effect.suspend((): Effect.Effect<void, responses.OperationRejection> => {
      if (Option.isNone(parsed)) {
        return responses.badRequest(`path ${JSON.stringify(request.path)} is not a checkpoint path`)
      }
      const path = parsed.value
      if (path.kind !== "weights") {
        return responses.badRequest(
          `${request.path} is not a training checkpoint: pass the path that save_weights returned`
        )
      }
      // a checkpoint of this model that is about to be saved will be there in time
      if (path.training_run_id === record.id && record.names.has(TinkerPath.checkpointId(path))) return Effect.void
      return Effect.matchEffect(environment.store.info(path), {
        onSuccess: (info) => Effect.asVoid(checkpoints.authorizeRead(path, info)),
        onFailure: (error) => (error._tag === "CheckpointNotFound" ? responses.notFound(error.message) : Effect.void)
      })
    }),
    run: (model) =>
      Effect.gen(function* () {
        const { adapter, info, optimizer } = yield* environment.store.load(Option.getOrThrow(parsed))
        const { base_model, lora_config } = info
        if (base_model !== record.base.model_name) {
          return yield* userError(
            `${request.path} is of base model ${base_model}, but the model is of ${record.base.model_name}`
          )
        }
        if (lora_config.rank !== record.lora_config.rank) {
          return yield* userError(
            `${request.path} has LoRA rank ${lora_config.rank}, but the model has rank ${record.lora_config.rank}`
          )
        }
        if (request.optimizer && optimizer === undefined) {
          return yield* userError(`${request.path} holds no state of the optimizer`)
        }
        yield* model.load(adapter, request.optimizer ? optimizer : undefined)
        const body = { path: request.path, model_id: record.id, type: "load_weights" } as const
        return futures.done({ json: () => encodeLoaded(body) })
      })
  }
}
