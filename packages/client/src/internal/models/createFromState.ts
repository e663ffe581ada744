/** Creates a model from a saved training state, and the client that trains it. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Weights from "@effect-tinker/api/Weights"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as TrainingClient from "../../TrainingClient.ts"
import * as validate from "../training/validate.ts"
import { instrument, type OperationRecord } from "../telemetry/instrument.ts"
import { awaitCreation, type Context } from "./awaitCreation.ts"
import { createLoraTrainingClient } from "./createModel.ts"

/**
 * How a training state is loaded.
 *
 * @since 0.1.0
 * @category models
 */
export interface StateOptions {
  /** that of the checkpoint by default; another one must be compatible with it */
  readonly base_model?: string | undefined
  /** an API key of the account that owns the checkpoint, where that is another account */
  readonly weights_access_token?: Redacted.Redacted | undefined
  readonly user_metadata?: { readonly [key: string]: string } | undefined
}

type CreateFromState = "createTrainingClientFromState" | "createTrainingClientFromStateWithOptimizer"
type Created = Effect.Effect<TrainingClient.TrainingClient, TinkerError.TinkerError, Scope.Scope>

const isWithOptimizer = (method: CreateFromState) => method === "createTrainingClientFromStateWithOptimizer"

const getWeightsInfo = (
  { client }: Context,
  method: CreateFromState,
  tinker_path: string,
  token: Redacted.Redacted | undefined
) =>
  client.call(
    TinkerApi.weightsInfo,
    { tinker_path },
    // the owner's key authorizes this request in place of the client's key
    { method, ...(token === undefined ? {} : { headers: { "x-api-key": Redacted.value(token) } }) }
  )

/** One request that creates the model and loads the state. */
const createByLoading = (
  context: Context,
  method: CreateFromState,
  path: string,
  { base_model, user_metadata, weights_access_token: token }: StateOptions,
  info: Weights.WeightsInfoResponse,
  record: OperationRecord
): Created =>
  Effect.gen(function* () {
    const { client, session } = context
    const { sessionId: session_id } = session
    const model_seq_id = yield* session.nextModelSeqId
    const loaded = yield* awaitCreation(context, {
      method,
      description: `Creation of a model from ${path}`,
      type: "LoadWeights",
      schema: Weights.LoadWeightsResponse,
      record,
      send: (callOptions) =>
        client.call(
          TinkerApi.loadWeights,
          {
            session_id,
            model_seq_id,
            path,
            optimizer: isWithOptimizer(method),
            ...(base_model === undefined ? {} : { base_model }),
            ...(user_metadata === undefined ? {} : { user_metadata }),
            ...(token === undefined ? {} : { weights_access_token: Redacted.value(token) }),
            type: "load_weights"
          },
          callOptions
        )
    })
    // services that leave the id out of the response name the model like this
    const modelId = loaded.model_id ?? `${session_id}:train:${model_seq_id}`
    yield* session.noteModel(modelId)
    return yield* TrainingClient.make({ client, session, modelId, baseModel: base_model ?? info.base_model })
  })

/** Creates a model like that of the checkpoint, and loads the state as its first operation. */
const createThenLoad = (
  context: Context,
  method: CreateFromState,
  path: string,
  { base_model, user_metadata, weights_access_token }: StateOptions,
  info: Weights.WeightsInfoResponse
): Created =>
  Effect.gen(function* () {
    const training = yield* createLoraTrainingClient(context, {
      base_model: base_model ?? info.base_model,
      rank: info.lora_rank,
      train_attn: info.train_attn,
      train_mlp: info.train_mlp,
      train_unembed: info.train_unembed,
      optimizer_config: info.optimizer_config,
      user_metadata
    })
    const load = isWithOptimizer(method) ? training.loadStateWithOptimizer : training.loadState
    yield* Fiber.join(yield* load(path, { weights_access_token }))
    return training
  })

/** @internal */
export const createFromState = (
  context: Context,
  method: CreateFromState,
  path: string,
  options: StateOptions = {}
): Created =>
  instrument(`ServiceClient.${method}`, {}, (record) =>
    Effect.gen(function* () {
      yield* validate.checkStatePath(method, path)
      const info = yield* getWeightsInfo(context, method, path, options.weights_access_token)
      const create = context.session.clientConfig.create_model_via_load_weights ? createByLoading : createThenLoad
      return yield* create(context, method, path, options, info, record)
    })
  )
