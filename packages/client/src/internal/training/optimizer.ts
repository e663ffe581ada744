/** The operations `optimStep` and `optimizerStep`. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as Training from "@effect-tinker/api/Training"
import * as Effect from "effect/Effect"
import * as codec from "../codec/endpoint.ts"
import { type Context, submitRequest } from "./context.ts"
import type { Submitted } from "../submissions/operation.ts"

const readAdam = codec.input("optimStep", "params", Training.AdamParams)
const readOptimizer = codec.input("optimizerStep", "params", Training.OptimizerParams)

const submitStep = (
  context: Context,
  method: "optimStep" | "optimizerStep",
  params:
    | { readonly adam_params: typeof Training.AdamParams.Type }
    | { readonly optimizer_params: typeof Training.OptimizerParams.Type }
): Submitted<Training.OptimStepResponse> =>
  submitRequest(
    context,
    { method, type: "OptimStep", schema: Training.OptimStepResponse, role: "step" },
    (seq_id, options) =>
      context.client.call(
        TinkerApi.optimStep,
        { ...params, model_id: context.modelId, seq_id, type: "optim_step" },
        options
      )
  )

/** @internal */
export const submitOptimStep = (
  context: Context,
  params: typeof Training.AdamParams.Encoded = {}
): Submitted<Training.OptimStepResponse> =>
  Effect.flatMap(
    Effect.suspend(() => readAdam(params)),
    (adam_params) => submitStep(context, "optimStep", { adam_params })
  )

/** @internal */
export const submitOptimizerStep = (
  context: Context,
  params: typeof Training.OptimizerParams.Encoded
): Submitted<Training.OptimStepResponse> =>
  Effect.flatMap(
    Effect.suspend(() => readOptimizer(params)),
    (optimizer_params) => submitStep(context, "optimizerStep", { optimizer_params })
  )
