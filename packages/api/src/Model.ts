/**
 * Models: a base model with the LoRA adapter that a client trains.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, nullishWithDefault } from "./internal/schemas/optional.ts"
import { JsonValue, otherType, taggedUnion, typeField } from "./internal/schemas/wire.ts"
import * as Session from "./Session.ts"

/**
 * The optimizer of a model, fixed when the model is created.
 *
 * @since 0.1.0
 * @category schemas
 */
export const OptimizerConfig = taggedUnion(
  "type",
  Schema.Struct({ type: Schema.Literal("adamw") }),
  Schema.Struct({
    type: Schema.Literal("dimuon"),
    version: nullishWithDefault(Schema.Literal(1), () => 1 as const)
  }),
  Schema.Struct({ type: otherType("adamw", "dimuon") }, { key: Schema.String, value: JsonValue })
)

/**
 * @since 0.1.0
 * @category models
 */
export type OptimizerConfig = typeof OptimizerConfig.Type

const flag = nullishWithDefault(Schema.Boolean, () => true)

/**
 * The shape of an adapter: its rank, the seed of its initialization, and the parts of the model that it adapts.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LoraConfig = Schema.Struct({
  rank: Schema.Int.pipe(Schema.greaterThan(0)),
  seed: nullish(Schema.Int),
  train_unembed: flag,
  train_mlp: flag,
  train_attn: flag
})

/**
 * @since 0.1.0
 * @category models
 */
export type LoraConfig = typeof LoraConfig.Type

/**
 * Creates a model in a session.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CreateModelRequest = Schema.Struct({
  session_id: Schema.String,
  model_seq_id: Schema.Int,
  base_model: Schema.String,
  user_metadata: nullish(Session.UserMetadata),
  lora_config: nullish(LoraConfig),
  optimizer_config: nullish(OptimizerConfig),
  type: typeField("create_model")
})

/**
 * @since 0.1.0
 * @category models
 */
export type CreateModelRequest = typeof CreateModelRequest.Type

/**
 * The id of the new model.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CreateModelResponse = Schema.Struct({ model_id: Schema.String, type: typeField("create_model") })

/**
 * @since 0.1.0
 * @category models
 */
export type CreateModelResponse = typeof CreateModelResponse.Type

/**
 * Requests the description of a model.
 *
 * @since 0.1.0
 * @category schemas
 */
export const GetInfoRequest = Schema.Struct({ model_id: Schema.String, type: typeField("get_info") })

/**
 * The description of a model.
 *
 * @since 0.1.0
 * @category schemas
 */
export const GetInfoResponse = Schema.Struct({
  model_id: Schema.String,
  model_data: nullishWithDefault(
    Schema.Struct({
      arch: nullish(Schema.String),
      model_name: nullish(Schema.String),
      tokenizer_id: nullish(Schema.String)
    }),
    () => ({})
  ),
  optimizer_config: nullish(OptimizerConfig),
  is_lora: nullish(Schema.Boolean),
  lora_rank: nullish(Schema.Int),
  model_name: nullish(Schema.String),
  type: nullish(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type GetInfoResponse = typeof GetInfoResponse.Type

/**
 * Unloads a model, which frees its memory on the service.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UnloadModelRequest = Schema.Struct({ model_id: Schema.String, type: typeField("unload_model") })

/**
 * The id of the unloaded model.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UnloadModelResponse = Schema.Struct({ model_id: Schema.String, type: typeField("unload_model") })

/**
 * @since 0.1.0
 * @category models
 */
export type UnloadModelResponse = typeof UnloadModelResponse.Type
