/** Endpoints that train a model. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as CustomLoss from "../../CustomLoss.ts"
import * as Future from "../../Future.ts"
import * as Training from "../../Training.ts"

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
 * Returns a future of `CustomLoss.CreateCustomLossResponse`.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const createCustomLoss = HttpApiEndpoint.post("createCustomLoss", "/create_custom_loss")
  .setPayload(CustomLoss.CreateCustomLossRequest)
  .addSuccess(Future.FutureEnvelope)

/**
 * The endpoints that train a model.
 *
 * @since 0.1.0
 * @category groups
 */
export const TrainingGroup = HttpApiGroup.make("training")
  .add(forwardBackward)
  .add(forward)
  .add(optimStep)
  .add(createCustomLoss)
