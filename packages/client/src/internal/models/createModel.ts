/** Creates a LoRA adapter on a base model, and the client that trains it. */
import * as Model from "@effect-tinker/api/Model"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TrainingClient from "../../TrainingClient.ts"
import * as codec from "../codec/endpoint.ts"
import { recordRejection } from "../telemetry/instrument.ts"
import { awaitCreation, type Context } from "./awaitCreation.ts"

/**
 * The adapter to create.
 *
 * @since 0.1.0
 * @category models
 */
export interface LoraOptions {
  readonly base_model: string
  /** 32 by default */
  readonly rank?: number | undefined
  /** seed of the adapter's initial values; chosen by the service by default */
  readonly seed?: number | undefined
  readonly train_attn?: boolean | undefined
  readonly train_mlp?: boolean | undefined
  readonly train_unembed?: boolean | undefined
  /** `adamw` by default */
  readonly optimizer_config?: Model.OptimizerConfig | undefined
  readonly user_metadata?: { readonly [key: string]: string } | undefined
}

const method = "createLoraTrainingClient"
const invalid = (path: string, reason: string) => new TinkerError.InvalidInput({ method, path, reason })

const decodeLoraConfig = codec.input(method, "options", Model.LoraConfig)

/** The adapter's configuration with its defaults; fails if it trains nothing. */
const readLoraConfig = (
  options: LoraOptions
): Effect.Effect<typeof Model.LoraConfig.Type, TinkerError.InvalidInput> =>
  Effect.gen(function* () {
    if (options.base_model.trim() === "") return yield* invalid("base_model", "is empty: name a base model")
    const config = yield* decodeLoraConfig({
      rank: options.rank ?? 32,
      train_attn: options.train_attn ?? true,
      train_mlp: options.train_mlp ?? true,
      train_unembed: options.train_unembed ?? true,
      ...(options.seed === undefined ? {} : { seed: options.seed })
    })
    return config.train_attn || config.train_mlp || config.train_unembed
      ? config
      : yield* invalid("train_attn, train_mlp, train_unembed", "are all false: train one of them")
  })

/** @internal */
export const createLoraTrainingClient = (
  context: Context,
  options: LoraOptions
): Effect.Effect<TrainingClient.TrainingClient, TinkerError.TinkerError, Scope.Scope> =>
  Effect.gen(function* () {
    const { client, session } = context
    const { base_model, optimizer_config, user_metadata } = options
    const lora_config = yield* recordRejection("ServiceClient", {})(readLoraConfig(options))
    const model_seq_id = yield* session.nextModelSeqId
    const { model_id } = yield* awaitCreation(context, {
      method,
      description: `Creation of a model on ${base_model}`,
      type: "CreateModel",
      schema: Model.CreateModelResponse,
      send: (callOptions) =>
        client.call(
          TinkerApi.createModel,
          {
            session_id: session.sessionId,
            model_seq_id,
            base_model,
            lora_config,
            ...(optimizer_config === undefined ? {} : { optimizer_config }),
            ...(user_metadata === undefined ? {} : { user_metadata }),
            type: "create_model"
          },
          callOptions
        )
    })
    yield* session.noteModel(model_id)
    return yield* TrainingClient.make({ client, session, modelId: model_id, baseModel: base_model })
  })
