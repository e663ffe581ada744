/** Endpoints that save, load, copy, describe and upload weights. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as Future from "../../Future.ts"
import * as Weights from "../../Weights.ts"

/**
 * Returns a future of `Weights.SaveWeightsResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const saveWeights = HttpApiEndpoint.post("saveWeights", "/save_weights")
  .setPayload(Weights.SaveWeightsRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Returns a future of `Weights.SaveWeightsForSamplerResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const saveWeightsForSampler = HttpApiEndpoint.post("saveWeightsForSampler", "/save_weights_for_sampler")
  .setPayload(Weights.SaveWeightsForSamplerRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Returns a future of `Weights.SaveWeightsExternalResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const saveWeightsExternal = HttpApiEndpoint.post("saveWeightsExternal", "/save_weights_external")
  .setPayload(Weights.SaveWeightsExternalRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Returns a future of `Weights.LoadWeightsResponse`. A server may accept it only as the first operation of a model.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const loadWeights = HttpApiEndpoint.post("loadWeights", "/load_weights")
  .setPayload(Weights.AnyLoadWeightsRequest)
  .addSuccess(Future.FutureEnvelope)

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
 * The endpoints that save, load, copy, describe and upload weights.
 *
 * @since 0.1.0
 * @category groups
 */
export const WeightsGroup = HttpApiGroup.make("weights")
  .add(saveWeights)
  .add(saveWeightsForSampler)
  .add(saveWeightsExternal)
  .add(loadWeights)
  .add(copyWeights)
  .add(weightsInfo)
  .add(externalWeightsUploadStart)
  .add(externalWeightsUploadFinish)
