/**
 * Checkpoints: their description, their expiry, and searching them.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, nullishWithDefault } from "./internal/schemas/optional.ts"
import { listing } from "./internal/schemas/listing.ts"
import { Metadata, openEnum, ReportedMetadata } from "./internal/schemas/wire.ts"
import * as Timestamp from "./internal/schemas/timestamp.ts"
import * as Pagination from "./Pagination.ts"

/**
 * The type of a checkpoint: `training` (with the optimizer state), `sampler`, or `external` (a format for other
 * programs). The kinds in paths are `weights`, `sampler_weights` and `external_weights`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CheckpointType = openEnum("training", "sampler", "external")

/**
 * @since 0.1.0
 * @category models
 */
export type CheckpointType = typeof CheckpointType.Type

/**
 * A checkpoint. Its `checkpoint_id` is `<kind>/<name>`; some servers omit the kind. `time` is when it was saved, where the
 * server knows it. Without `expires_at` it never expires.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Checkpoint = Schema.Struct({
  checkpoint_id: Schema.String,
  checkpoint_type: CheckpointType,
  time: nullish(Timestamp.Timestamp),
  tinker_path: Schema.String,
  base_model: nullish(Schema.String),
  size_bytes: nullish(Schema.Int),
  public: nullishWithDefault(Schema.Boolean, () => false),
  user_metadata: nullish(ReportedMetadata),
  expires_at: nullish(Timestamp.Timestamp)
})

/**
 * @since 0.1.0
 * @category models
 */
export type Checkpoint = typeof Checkpoint.Type

/**
 * A page of checkpoints.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CheckpointsListResponse = Schema.Struct({
  checkpoints: listing(Checkpoint),
  cursor: nullish(Pagination.Cursor)
})

/**
 * @since 0.1.0
 * @category models
 */
export type CheckpointsListResponse = typeof CheckpointsListResponse.Type

/**
 * A new expiry, between an hour and ten years in seconds; with `null` the checkpoint never expires.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SetTtlRequest = Schema.Struct({ ttl_seconds: Schema.NullOr(Schema.Int) })

/**
 * A signed URL of a checkpoint's archive, and its expiry. Servers return this body, or status 302 with the headers
 * `Location` and `Expires`. SDK 0.26 and later do not use it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ArchiveUrlResponse = Schema.Struct({ url: Schema.String, expires: nullish(Timestamp.Timestamp) })

/**
 * @since 0.1.0
 * @category models
 */
export type ArchiveUrlResponse = typeof ArchiveUrlResponse.Type

/**
 * The start of the next page of a search; pass it back unchanged.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CheckpointSearchCursor = Schema.Struct({
  last_created_at: Schema.String,
  last_checkpoint_uuid: Schema.String
})

/**
 * A search through checkpoints, newest first. An absent filter matches everything; an empty list of `base_models` matches
 * nothing.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CheckpointSearchRequest = Schema.Struct({
  project_ids: nullish(Schema.Array(Schema.String)),
  user_metadata: nullishWithDefault(Metadata, () => ({})),
  checkpoint_type: nullish(CheckpointType),
  owner: nullishWithDefault(Pagination.SearchOwner, () => ({ type: "own" as const })),
  base_models: nullish(Schema.Array(Schema.String)),
  limit: nullishWithDefault(Pagination.SearchLimit, () => 50),
  cursor: nullish(CheckpointSearchCursor)
})

/**
 * @since 0.1.0
 * @category models
 */
export type CheckpointSearchRequest = typeof CheckpointSearchRequest.Type

/**
 * A page of checkpoints that match a search.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CheckpointSearchResponse = Schema.Struct({
  checkpoints: listing(Checkpoint),
  next_cursor: nullish(CheckpointSearchCursor)
})

/**
 * @since 0.1.0
 * @category models
 */
export type CheckpointSearchResponse = typeof CheckpointSearchResponse.Type
