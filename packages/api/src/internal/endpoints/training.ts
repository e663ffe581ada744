/** Endpoints that train a model, save its weights and load them. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as Future from "../../Future.ts"
import * as Training from "../../Training.ts"
import * as Weights from "../../Weights.ts"

/**
 * Returns a future of `Training.ForwardBackwardOutput`. Gradients accumulate until the next `optimStep`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const forwardBackward = HttpApiEndpoint.post("forwardBackward", "/forward_backward")
  .setPayload(Training.ForwardBackwardRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Returns a future of `Training.ForwardBackwardOutput`. Computes no gradients.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const forward = HttpApiEndpoint.post("forward", "/forward")
  .setPayload(Training.ForwardRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * Returns a future of `Training.OptimStepResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const optimStep = HttpApiEndpoint.post("optimStep", "/optim_step")
  .setPayload(Training.AnyOptimStepRequest)
  .addSuccess(Future.FutureEnvelope)

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
 * Returns a future of `Weights.LoadWeightsResponse`. A server may accept it only as the first operation of a model.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const loadWeights = HttpApiEndpoint.post("loadWeights", "/load_weights")
  .setPayload(Weights.AnyLoadWeightsRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * @since 0.1.0
 * @category groups
 */
export const TrainingOperations = HttpApiGroup.make("training")
  .add(forwardBackward)
  .add(forward)
  .add(optimStep)
  .add(saveWeights)
  .add(saveWeightsForSampler)
  .add(loadWeights)
