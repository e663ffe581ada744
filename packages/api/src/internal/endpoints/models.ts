/** Endpoints that create, describe and unload models. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as Future from "../../Future.ts"
import * as Model from "../../Model.ts"

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
 * Returns a future of `Model.UnloadModelResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const unloadModel = HttpApiEndpoint.post("unloadModel", "/unload_model")
  .setPayload(Model.UnloadModelRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * The endpoints that create, describe and unload models.
 *
 * @since 0.1.0
 * @category groups
 */
export const ModelsGroup = HttpApiGroup.make("models").add(createModel).add(getInfo).add(unloadModel)
