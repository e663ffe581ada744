/** Schemas of external weights: saves in a format that other programs read, their download and their upload. */
import * as Schema from "effect/Schema"
import * as Model from "../../Model.ts"
import { nullish } from "../schemas/optional.ts"
import * as Timestamp from "../schemas/timestamp.ts"
import { Metadata, typeField } from "../schemas/wire.ts"
import { seconds, seqId } from "./fields.ts"

/**
 * A save in a format that other programs read, as a checkpoint of the kind `external_weights`. With
 * `age_encryption_recipients` (at most ten) every file is encrypted for them and its name ends in `.age`.
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
 * The path of the new checkpoint and its size.
 *
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
 * One signed URL per file of an external checkpoint, by the file's path below the checkpoint.
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
 * One signed URL per file name. Upload each file with a PUT request.
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
 * Finishes an upload whose files have all been sent.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExternalWeightsUploadFinishRequest = Schema.Struct({ upload_id: Schema.String })

/**
 * The path of the new checkpoint.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ExternalWeightsUploadFinishResponse = Schema.Struct({ tinker_path: Schema.String })

/**
 * @since 0.1.0
 * @category models
 */
export type ExternalWeightsUploadFinishResponse = typeof ExternalWeightsUploadFinishResponse.Type
