/**
 * Saving and loading: training states, which include the optimizer state, weights for sampling, and external weights.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, nullishWithDefault } from "./internal/schemas/optional.ts"
import { Metadata, openEnum, typeField } from "./internal/schemas/wire.ts"
import { seconds, seqId } from "./internal/weights/fields.ts"
import * as Model from "./Model.ts"

export * from "./internal/weights/external.ts"

/**
 * A save of the weights and the optimizer state, to continue training from.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SaveWeightsRequest = Schema.Struct({
  model_id: Schema.String,
  path: nullish(Schema.String),
  seq_id: seqId,
  ttl_seconds: seconds,
  overwrite: nullishWithDefault(Schema.Boolean, () => false),
  user_metadata: nullish(Metadata),
  type: typeField("save_weights")
})

/**
 * @since 0.1.0
 * @category models
 */
export type SaveWeightsRequest = typeof SaveWeightsRequest.Type

/**
 * The path of the new checkpoint.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SaveWeightsResponse = Schema.Struct({ path: Schema.String, type: typeField("save_weights") })

/**
 * @since 0.1.0
 * @category models
 */
export type SaveWeightsResponse = typeof SaveWeightsResponse.Type

/**
 * Which weights a sampler uses: a `snapshot` sampler keeps the weights of the save; the `inflight` samplers of a model
 * share weights that each later `inflight` save replaces.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SamplerKind = openEnum("snapshot", "inflight")

/**
 * @since 0.1.0
 * @category models
 */
export type SamplerKind = typeof SamplerKind.Type

/**
 * A named save has a `path`; an unnamed one has a `sampling_session_seq_id` and returns a sampling session.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SaveWeightsForSamplerRequest = Schema.Struct({
  model_id: Schema.String,
  path: nullish(Schema.String),
  sampling_session_seq_id: nullish(Schema.Int),
  kind: nullish(SamplerKind),
  seq_id: seqId,
  ttl_seconds: seconds,
  user_metadata: nullish(Metadata),
  type: typeField("save_weights_for_sampler")
})

/**
 * @since 0.1.0
 * @category models
 */
export type SaveWeightsForSamplerRequest = typeof SaveWeightsForSamplerRequest.Type

/**
 * The path of a named save, or the sampling session of an unnamed one.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SaveWeightsForSamplerResponse = Schema.Struct({
  path: nullish(Schema.String),
  sampling_session_id: nullish(Schema.String),
  type: typeField("save_weights_for_sampler")
})

/**
 * @since 0.1.0
 * @category models
 */
export type SaveWeightsForSamplerResponse = typeof SaveWeightsForSamplerResponse.Type

/**
 * A load into an existing model, as its first operation. `weights_access_token` is a key of the account that owns the
 * checkpoint, if that is another account.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LoadWeightsRequest = Schema.Struct({
  model_id: Schema.String,
  path: Schema.String,
  optimizer: Schema.Boolean,
  seq_id: seqId,
  optimizer_config: nullish(Model.OptimizerConfig),
  weights_access_token: nullish(Schema.String),
  type: typeField("load_weights")
})

/**
 * @since 0.1.0
 * @category models
 */
export type LoadWeightsRequest = typeof LoadWeightsRequest.Type

/**
 * A load that creates the model with the adapter shape of the checkpoint. The model's id is
 * `<session_id>:train:<model_seq_id>`, and its operations start at `seq_id` 1. `optimizer_config` applies to a load
 * without the optimizer state.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CreateFromWeightsRequest = Schema.Struct({
  session_id: Schema.String,
  model_seq_id: Schema.Int,
  base_model: nullish(Schema.String),
  user_metadata: nullish(Metadata),
  path: Schema.String,
  optimizer: Schema.Boolean,
  optimizer_config: nullish(Model.OptimizerConfig),
  weights_access_token: nullish(Schema.String),
  type: typeField("load_weights")
})

/**
 * @since 0.1.0
 * @category models
 */
export type CreateFromWeightsRequest = typeof CreateFromWeightsRequest.Type

/**
 * The body of `load_weights`, in either form.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AnyLoadWeightsRequest = Schema.Union(LoadWeightsRequest, CreateFromWeightsRequest)

/**
 * The loaded path, and the id of the model if the load created one.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LoadWeightsResponse = Schema.Struct({
  path: nullish(Schema.String),
  model_id: nullish(Schema.String),
  type: typeField("load_weights")
})

/**
 * @since 0.1.0
 * @category models
 */
export type LoadWeightsResponse = typeof LoadWeightsResponse.Type

/**
 * A copy of a training or sampler checkpoint, in a project (`destination_project_id`) or in a slot of a session
 * (`session_id` and `model_seq_id`). The copy shares its storage with the source and cannot be trained.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CopyWeightsRequest = Schema.Struct({
  session_id: nullish(Schema.String),
  model_seq_id: nullish(Schema.Int),
  destination_project_id: nullish(Schema.String),
  source_path: Schema.String,
  ttl_seconds: seconds,
  weights_access_token: nullish(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type CopyWeightsRequest = typeof CopyWeightsRequest.Type

/**
 * The path of the copy.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CopyWeightsResponse = Schema.Struct({ tinker_path: Schema.String })

/**
 * @since 0.1.0
 * @category models
 */
export type CopyWeightsResponse = typeof CopyWeightsResponse.Type

/**
 * The path of the checkpoint to describe.
 *
 * @since 0.1.0
 * @category schemas
 */
export const WeightsInfoRequest = Schema.Struct({ tinker_path: Schema.String })

/**
 * What a caller needs to know to load a checkpoint. Public checkpoints of other accounts have it as well.
 *
 * @since 0.1.0
 * @category schemas
 */
export const WeightsInfoResponse = Schema.Struct({
  base_model: Schema.String,
  optimizer_config: nullish(Model.OptimizerConfig),
  is_lora: Schema.Boolean,
  lora_rank: nullish(Schema.Int),
  train_unembed: nullish(Schema.Boolean),
  train_mlp: nullish(Schema.Boolean),
  train_attn: nullish(Schema.Boolean)
})

/**
 * @since 0.1.0
 * @category models
 */
export type WeightsInfoResponse = typeof WeightsInfoResponse.Type
