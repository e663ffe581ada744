/** Endpoints that create, describe and unload models, and that register what a model needs. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as CustomLoss from "../../CustomLoss.ts"
import * as Future from "../../Future.ts"
import * as Model from "../../Model.ts"
import * as Weights from "../../Weights.ts"

/**
 * Returns a future of `Model.CreateModelResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const createModel = HttpApiEndpoint.post("createModel", "/create_model")
  .setPayload(Model.CreateModelRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Describes a model: its base model, tokenizer and adapter.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const getInfo = HttpApiEndpoint.post("getInfo", "/get_info")
  .setPayload(Model.GetInfoRequest)
  .addSuccess(Model.GetInfoResponse)

/**
 * @since 0.1.0
 * @category groups
 */
export const Models = HttpApiGroup.make("models").add(createModel).add(getInfo)

/**
 * Returns a future of `Model.UnloadModelResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const unloadModel = HttpApiEndpoint.post("unloadModel", "/unload_model")
  .setPayload(Model.UnloadModelRequest)
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
 * Returns a future of `CustomLoss.CreateCustomLossResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const createCustomLoss = HttpApiEndpoint.post("createCustomLoss", "/create_custom_loss")
  .setPayload(CustomLoss.CreateCustomLossRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * @since 0.1.0
 * @category groups
 */
export const ModelOperations = HttpApiGroup.make("modelOperations")
  .add(unloadModel)
  .add(saveWeightsExternal)
  .add(createCustomLoss)
