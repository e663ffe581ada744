/**
 * The operations that stand beside those of `TinkerApi`: flags and credentials, polling by session, uploads, losses of
 * the user's own, and telemetry. A server may lack any of them and then answers 404.
 *
 * @since 0.1.0
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import * as Auth from "./Auth.ts"
import * as CustomLoss from "./CustomLoss.ts"
import * as ErrorResponse from "./ErrorResponse.ts"
import * as Future from "./Future.ts"
import * as Model from "./Model.ts"
import * as Sampling from "./Sampling.ts"
import * as Session from "./Session.ts"
import * as Telemetry from "./Telemetry.ts"
import * as Weights from "./Weights.ts"

/**
 * @since 0.1.0
 * @category endpoints
 */
export const clientDynamicConfig = HttpApiEndpoint.post("clientDynamicConfig", "/client/dynamic_config")
  .setPayload(Session.ClientConfigRequest)
  .addSuccess(Session.ClientDynamicConfigResponse)

/**
 * Takes the key of the header and answers with a token that stands for it.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const authToken = HttpApiEndpoint.post("authToken", "/auth/token")
  .setPayload(Schema.Struct({}))
  .addSuccess(Auth.AuthTokenResponse)

/**
 * What the key of the header says of itself.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getApiKey = HttpApiEndpoint.get("getApiKey", "/auth/apikey/me").addSuccess(Auth.ApiKeyResponse)

/**
 * Deletes the key of the header, and no other.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const deleteApiKey = HttpApiEndpoint.del("deleteApiKey", "/auth/apikey/me").addSuccess(HttpApiSchema.NoContent)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const sendTelemetry = HttpApiEndpoint.post("sendTelemetry", "/telemetry")
  .setPayload(Telemetry.SendRequest)
  .addSuccess(Telemetry.SendResponse)

/**
 * Waits a while for requests of a sampling session to be done, and answers which are.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const retrieveFutures = HttpApiEndpoint.post("retrieveFutures", "/retrieve_futures")
  .setPayload(Future.RetrieveFuturesRequest)
  .addSuccess(Future.RetrieveFuturesResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const cancelFuture = HttpApiEndpoint.post("cancelFuture", "/cancel_future")
  .setPayload(Future.CancelFutureRequest)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const joinSamplingSession = HttpApiEndpoint.post("joinSamplingSession", "/join_sampling_session")
  .setPayload(Sampling.JoinSamplingSessionRequest)
  .addSuccess(Sampling.JoinSamplingSessionResponse)

/**
 * Answers with a future of `Model.UnloadModelResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const unloadModel = HttpApiEndpoint.post("unloadModel", "/unload_model")
  .setPayload(Model.UnloadModelRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Answers with a future of `Weights.SaveWeightsExternalResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const saveWeightsExternal = HttpApiEndpoint.post("saveWeightsExternal", "/save_weights_external")
  .setPayload(Weights.SaveWeightsExternalRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Answers with a future of `CustomLoss.CreateCustomLossResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const createCustomLoss = HttpApiEndpoint.post("createCustomLoss", "/create_custom_loss")
  .setPayload(CustomLoss.CreateCustomLossRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * The key of another account, where the checkpoint is its own, also goes in the header `X-Tinker-Weights-Access-Token`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const copyWeights = HttpApiEndpoint.post("copyWeights", "/copy_weights")
  .setPayload(Weights.CopyWeightsRequest)
  .addSuccess(Weights.CopyWeightsResponse)

/**
 * @since 0.1.0
 * @category endpoints
 */
export const weightsInfo = HttpApiEndpoint.post("weightsInfo", "/weights_info")
  .setPayload(Weights.WeightsInfoRequest)
  .addSuccess(Weights.WeightsInfoResponse)

/**
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
export const Client = HttpApiGroup.make("client")
  .add(clientDynamicConfig)
  .add(authToken)
  .add(getApiKey)
  .add(deleteApiKey)
  .add(sendTelemetry)

/**
 * @since 0.1.0
 * @category groups
 */
export const Polling = HttpApiGroup.make("polling").add(retrieveFutures).add(cancelFuture).add(joinSamplingSession)

/**
 * @since 0.1.0
 * @category groups
 */
export const ModelOperations = HttpApiGroup.make("modelOperations")
  .add(unloadModel)
  .add(saveWeightsExternal)
  .add(createCustomLoss)

/**
 * @since 0.1.0
 * @category groups
 */
export const WeightsOperations = HttpApiGroup.make("weightsOperations")
  .add(copyWeights)
  .add(weightsInfo)
  .add(externalWeightsUploadStart)
  .add(externalWeightsUploadFinish)

/**
 * @since 0.1.0
 * @category contract
 */
export class OperationsApi extends HttpApi.make("tinker-operations")
  .add(Client)
  .add(Polling)
  .add(ModelOperations)
  .add(WeightsOperations)
  .addError(ErrorResponse.BadRequestResponse)
  .addError(ErrorResponse.UnauthorizedResponse)
  .addError(ErrorResponse.PaymentRequiredResponse)
  .addError(ErrorResponse.ForbiddenResponse)
  .addError(ErrorResponse.NotFoundResponse)
  .addError(ErrorResponse.ConflictResponse)
  .addError(ErrorResponse.GoneResponse)
  .addError(ErrorResponse.UnprocessableResponse)
  .addError(ErrorResponse.TooManyRequestsResponse)
  .prefix("/api/v1") {}
