/**
 * Saving and loading: training states, which carry the optimizer, and weights for sampling.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, nullishWithDefault } from "./internal/schemas/optional.ts"
import { Metadata, openEnum, typeField } from "./internal/schemas/wire.ts"
import * as Timestamp from "./internal/schemas/timestamp.ts"
import * as Model from "./Model.ts"

const seqId = nullish(Schema.Int)
const seconds = nullish(Schema.Int.pipe(Schema.greaterThan(0)))

/**
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
 * Which weights a sampler uses: `snapshot` keeps the weights of the save; `inflight` samplers of one model share weights
 * that every later `inflight` save replaces.
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
 * A named save carries `path`; an unnamed one carries `sampling_session_seq_id` and answers with a sampling session.
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
 * A save in a format that other programs read, as a checkpoint of the kind `external_weights`. With
 * `age_encryption_recipients` (ten at most) every file is encrypted to them and its name ends in `.age`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SaveWeightsExternalRequest = Schema.Struct({
  model_id: Schema.String,
  path: Schema.String,
  seq_id: seqId,
  ttl_seconds: seconds,
  age_encryption_recipients: nullish(Schema.Array(Schema.String)),
  type: typeField("save_weights_external")
})

/**
 * @since 0.1.0
 * @category models
 */
export type SaveWeightsExternalRequest = typeof SaveWeightsExternalRequest.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const SaveWeightsExternalResponse = Schema.Struct({
  path: nullish(Schema.String),
  size_bytes: nullish(Schema.Int),
  type: typeField("save_weights_external")
})

/**
 * @since 0.1.0
 * @category models
 */
export type SaveWeightsExternalResponse = typeof SaveWeightsExternalResponse.Type

/**
 * A load into a model that exists, as its first operation. `weights_access_token` is a key of the account that owns the
 * checkpoint, where that is another one.
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
 * A load that creates the model: the service takes the adapter's shape from the checkpoint. The model's id is
 * `<session_id>:train:<model_seq_id>`, and its own operations start at `seq_id` 1. `optimizer_config` is for a load
 * without the optimizer's state.
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
 * A copy of a checkpoint, of either kind, in a project (`destination_project_id`), or in a slot of a session
 * (`session_id` and `model_seq_id`). The copy shares its storage with the source, and nothing can be trained on it.
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
 * @since 0.1.0
 * @category schemas
 */
export const WeightsInfoRequest = Schema.Struct({ tinker_path: Schema.String })

/**
 * What one must know of a checkpoint to load it; it works for public checkpoints of others.
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

/**
 * Signed URLs, one for each file of an external checkpoint, by the file's path below the checkpoint.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExternalWeightsUrlsResponse = Schema.Struct({ urls: Metadata, expires: Timestamp.Timestamp })

/**
 * @since 0.1.0
 * @category models
 */
export type ExternalWeightsUrlsResponse = typeof ExternalWeightsUrlsResponse.Type

/**
 * Starts an upload of weights in the format that `save_weights_external` writes for the same model and adapter.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExternalWeightsUploadStartRequest = Schema.Struct({
  base_model: Schema.String,
  lora_config: Model.LoraConfig,
  destination_project_id: nullish(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type ExternalWeightsUploadStartRequest = typeof ExternalWeightsUploadStartRequest.Type

/**
 * Signed URLs by file name; each file is uploaded with a PUT.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExternalWeightsUploadStartResponse = Schema.Struct({
  upload_id: Schema.String,
  urls: Metadata,
  expires: Timestamp.Timestamp
})

/**
 * @since 0.1.0
 * @category models
 */
export type ExternalWeightsUploadStartResponse = typeof ExternalWeightsUploadStartResponse.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const ExternalWeightsUploadFinishRequest = Schema.Struct({ upload_id: Schema.String })

/**
 * @since 0.1.0
 * @category schemas
 */
export const ExternalWeightsUploadFinishResponse = Schema.Struct({ tinker_path: Schema.String })

/**
 * @since 0.1.0
 * @category models
 */
export type ExternalWeightsUploadFinishResponse = typeof ExternalWeightsUploadFinishResponse.Type
