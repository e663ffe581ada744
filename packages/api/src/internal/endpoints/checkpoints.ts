/** Endpoints that look up and manage checkpoints. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import * as Checkpoint from "../../Checkpoint.ts"
import * as Pagination from "../../Pagination.ts"
import * as TinkerPath from "../../TinkerPath.ts"
import * as Weights from "../../Weights.ts"

const runPath = Schema.Struct({ training_run_id: Schema.String })
/** The id of a checkpoint in a path: two segments, its kind and its name. */
const checkpointPath = Schema.Struct({
  training_run_id: Schema.String,
  kind: TinkerPath.Kind,
  name: Schema.String
})
const checkpointUrl = "/training_runs/:training_run_id/checkpoints/:kind/:name"

/**
 * Lists the checkpoints of one training run.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const listCheckpoints = HttpApiEndpoint.get("listCheckpoints", "/training_runs/:training_run_id/checkpoints")
  .setPath(runPath)
  .addSuccess(Checkpoint.CheckpointsListResponse)

/**
 * Lists the user's checkpoints of all training runs, newest first.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const listUserCheckpoints = HttpApiEndpoint.get("listUserCheckpoints", "/checkpoints")
  .setUrlParams(Pagination.Page)
  .addSuccess(Checkpoint.CheckpointsListResponse)

/**
 * Searches checkpoints, newest first.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const searchCheckpoints = HttpApiEndpoint.post("searchCheckpoints", "/checkpoints/search")
  .setPayload(Checkpoint.CheckpointSearchRequest)
  .addSuccess(Checkpoint.CheckpointSearchResponse)

/**
 * Deletes a checkpoint.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const deleteCheckpoint = HttpApiEndpoint.del("deleteCheckpoint", checkpointUrl)
  .setPath(checkpointPath)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * Makes a checkpoint public.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const publishCheckpoint = HttpApiEndpoint.post("publishCheckpoint", `${checkpointUrl}/publish`)
  .setPath(checkpointPath)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * Makes a checkpoint private again.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const unpublishCheckpoint = HttpApiEndpoint.del("unpublishCheckpoint", `${checkpointUrl}/publish`)
  .setPath(checkpointPath)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * Sets or removes the expiry of a checkpoint.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const setCheckpointTtl = HttpApiEndpoint.put("setCheckpointTtl", `${checkpointUrl}/ttl`)
  .setPath(checkpointPath)
  .setPayload(Checkpoint.SetTtlRequest)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * Responds with a body, or with status 302 and the headers `Location` and `Expires`; 503 while the archive is built.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getCheckpointArchive = HttpApiEndpoint.get("getCheckpointArchive", `${checkpointUrl}/archive`)
  .setPath(checkpointPath)
  .addSuccess(Checkpoint.ArchiveUrlResponse)

/**
 * Returns a signed URL per file. Only for checkpoints of the kind `external_weights`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getExternalWeightsUrls = HttpApiEndpoint.get(
  "getExternalWeightsUrls",
  `${checkpointUrl}/external_weights_urls`
)
  .setPath(checkpointPath)
  .addSuccess(Weights.ExternalWeightsUrlsResponse)

/**
 * The endpoints that look up and manage checkpoints.
 *
 * @since 0.1.0
 * @category groups
 */
export const CheckpointsGroup = HttpApiGroup.make("checkpoints")
  .add(listCheckpoints)
  .add(listUserCheckpoints)
  .add(searchCheckpoints)
  .add(deleteCheckpoint)
  .add(publishCheckpoint)
  .add(unpublishCheckpoint)
  .add(setCheckpointTtl)
  .add(getCheckpointArchive)
  .add(getExternalWeightsUrls)
