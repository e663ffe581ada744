/** Endpoints that copy, describe and upload weights. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as Weights from "../../Weights.ts"

/**
 * Copies a checkpoint. If the source belongs to another account, a key of that account also goes into the header
 * `X-Tinker-Weights-Access-Token`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const copyWeights = HttpApiEndpoint.post("copyWeights", "/copy_weights")
  .setPayload(Weights.CopyWeightsRequest)
  .addSuccess(Weights.CopyWeightsResponse)

/**
 * Returns what a caller needs to know to load a checkpoint.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const weightsInfo = HttpApiEndpoint.post("weightsInfo", "/weights_info")
  .setPayload(Weights.WeightsInfoRequest)
  .addSuccess(Weights.WeightsInfoResponse)

/**
 * Starts an upload of weights and returns one signed URL per file.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const externalWeightsUploadStart = HttpApiEndpoint.post(
  "externalWeightsUploadStart",
  "/external_weights_upload_start"
)
  .setPayload(Weights.ExternalWeightsUploadStartRequest)
  .addSuccess(Weights.ExternalWeightsUploadStartResponse)

/**
 * Turns uploaded files into a checkpoint.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const externalWeightsUploadFinish = HttpApiEndpoint.post(
  "externalWeightsUploadFinish",
  "/external_weights_upload_finish"
)
  .setPayload(Weights.ExternalWeightsUploadFinishRequest)
  .addSuccess(Weights.ExternalWeightsUploadFinishResponse)

/**
 * @since 0.1.0
 * @category groups
 */
export const WeightsOperations = HttpApiGroup.make("weightsOperations")
  .add(copyWeights)
  .add(weightsInfo)
  .add(externalWeightsUploadStart)
  .add(externalWeightsUploadFinish)
