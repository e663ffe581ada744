/**
 * Models: a base model with a LoRA adapter that a client trains.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { json, nullish, optionalKey, other, tagged, type } from "./internal/schemas.ts"
import * as Session from "./Session.ts"

/**
 * The optimizer of a model, fixed when the model is created.
 *
 * @since 0.1.0
 * @category schemas
 */
export const OptimizerConfig = tagged(
  "type",
  Schema.Struct({ type: Schema.Literal("adamw") }),
  Schema.Struct({
    type: Schema.Literal("dimuon"),
    version: Schema.optionalWith(Schema.Literal(1), { default: () => 1 })
  }),
  Schema.Struct({ type: other("adamw", "dimuon") }, { key: Schema.String, value: json })
)

/**
 * @since 0.1.0
 * @category models
 */
export type OptimizerConfig = typeof OptimizerConfig.Type

const flag = Schema.optionalWith(Schema.Boolean, { nullable: true, default: () => true })

/**
 * The shape of an adapter: its rank, the seed of its initial values, and which parts of the model carry one.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LoraConfig = Schema.Struct({
  rank: Schema.Int.pipe(Schema.greaterThan(0)),
  seed: Schema.optionalWith(Schema.Int, { nullable: true }),
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
 * @since 0.1.0
 * @category schemas
 */
export const CreateModelRequest = Schema.Struct({
  session_id: Schema.String,
  model_seq_id: Schema.Int,
  base_model: Schema.String,
  user_metadata: Schema.optionalWith(Session.UserMetadata, { nullable: true }),
  lora_config: Schema.optionalWith(LoraConfig, { nullable: true }),
  optimizer_config: Schema.optionalWith(OptimizerConfig, { nullable: true }),
  type: type("create_model")
})

/**
 * @since 0.1.0
 * @category models
 */
export type CreateModelRequest = typeof CreateModelRequest.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const CreateModelResponse = Schema.Struct({ model_id: Schema.String, type: type("create_model") })

/**
 * @since 0.1.0
 * @category models
 */
export type CreateModelResponse = typeof CreateModelResponse.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const GetInfoRequest = Schema.Struct({ model_id: Schema.String, type: type("get_info") })

/**
 * @since 0.1.0
 * @category schemas
 */
export const GetInfoResponse = Schema.Struct({
  model_id: Schema.String,
  model_data: Schema.Struct({
    arch: nullish(Schema.String),
    model_name: nullish(Schema.String),
    tokenizer_id: nullish(Schema.String)
  }),
  optimizer_config: nullish(OptimizerConfig),
  is_lora: nullish(Schema.Boolean),
  lora_rank: nullish(Schema.Int),
  model_name: nullish(Schema.String),
  type: optionalKey(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type GetInfoResponse = typeof GetInfoResponse.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const UnloadModelRequest = Schema.Struct({ model_id: Schema.String, type: type("unload_model") })

/**
 * @since 0.1.0
 * @category schemas
 */
export const UnloadModelResponse = Schema.Struct({ model_id: Schema.String, type: type("unload_model") })

/**
 * @since 0.1.0
 * @category models
 */
export type UnloadModelResponse = typeof UnloadModelResponse.Type
