/** An adapter in training: its values, the accumulated gradient and the optimizer state. */
import type * as Model from "@effect-tinker/api/Model"
import type * as Training from "@effect-tinker/api/Training"
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Inputs } from "../executors/executor.ts"
import * as layouts from "../lora/layout.ts"
import * as weights from "../lora/weights.ts"
import type { LoadedModel } from "../model/loaded.ts"
import { userError } from "../util/errors.ts"
import * as adam from "./adam.ts"

/** Everything that training changes is mutable here. @internal */
export interface AdapterState {
  readonly model: LoadedModel
  readonly loraConfig: Model.LoraConfig
  readonly layout: layouts.Layout
  alpha: number
  values: Float32Array
  optimizer: adam.State
  /** the sum of the gradients since the last optimizer step */
  readonly gradient: Float32Array
}

const orUserError = <A>(either: Either.Either<A, string>): Effect.Effect<A, Engine.EngineError> =>
  Either.isRight(either) ? Effect.succeed(either.right) : Effect.fail(userError(either.left))

/** A new adapter. @internal */
export const make = (
  model: LoadedModel,
  loraConfig: Model.LoraConfig,
  seed: number
): Effect.Effect<AdapterState, Engine.EngineError> =>
  Effect.map(orUserError(layouts.make(model.config, loraConfig)), (layout) => ({
    model,
    loraConfig,
    layout,
    alpha: layouts.alpha,
    values: layouts.initialize(layout, seed),
    optimizer: adam.initialState(layout.size),
    gradient: new Float32Array(layout.size)
  }))

/** The inputs of the training program that are the same for all microbatches: weights and adapter. @internal */
export const programInputs = ({ alpha, layout, model, values }: AdapterState): Inputs => ({
  ...model.stored,
  ...Object.fromEntries(layout.matrices.map((matrix) => [matrix.input, layouts.view(values, matrix)])),
  token_ids: model.tokenIds,
  scaling: Float32Array.of(alpha / layout.rank)
})

/** Takes an optimizer step and clears the gradient. Fails without a step if the gradient is not finite. @internal */
export const optimStep = (
  state: AdapterState,
  params: Training.AdamParams
): Effect.Effect<Training.OptimStepResponse, Engine.EngineError> =>
  Effect.suspend(() => {
    const { gradient } = state
    const gradientNorm = adam.norm(gradient)
    if (!Number.isFinite(gradientNorm)) {
      gradient.fill(0)
      return Effect.fail(
        userError(
          "the gradient is not finite, so it was dropped and no step was taken: look for losses that are NaN or " +
            "infinite, for example because of sampling logprobs far from those of the model"
        )
      )
    }
    adam.step(state.values, gradient, gradientNorm, state.optimizer, params)
    gradient.fill(0)
    return Effect.succeed({ metrics: { "unclipped_grad_l2:mean": gradientNorm } })
  })

/** A copy of the adapter. @internal */
export const exportAdapter = ({ alpha, layout, loraConfig, model, values }: AdapterState): Engine.Adapter => ({
  base_model: model.name,
  lora_config: loraConfig,
  lora_alpha: alpha,
  weights: weights.toWeights(layout, values)
})

/** A copy of the optimizer state. @internal */
export const exportOptimizer = ({ layout, optimizer }: AdapterState): Engine.OptimizerState => ({
  step: optimizer.step,
  first: weights.toArrays(layout, optimizer.first),
  second: weights.toArrays(layout, optimizer.second)
})

const importOptimizer = (
  layout: layouts.Layout,
  optimizer: Engine.OptimizerState
): Effect.Effect<adam.State, Engine.EngineError> =>
  Effect.gen(function* () {
    return {
      step: optimizer.step,
      first: yield* orUserError(weights.fromArrays(layout, optimizer.first, "optimizer state")),
      second: yield* orUserError(weights.fromArrays(layout, optimizer.second, "optimizer state"))
    }
  })

/** Loads an adapter and clears the gradient. Without an optimizer state, the optimizer is reset. @internal */
export const load = (
  state: AdapterState,
  adapter: Engine.Adapter,
  optimizer: Engine.OptimizerState | undefined
): Effect.Effect<void, Engine.EngineError> =>
  Effect.gen(function* () {
    const { layout, model } = state
    const values = yield* orUserError(weights.fromAdapter(layout, adapter, model.name))
    const loaded = optimizer === undefined ? adam.initialState(layout.size) : yield* importOptimizer(layout, optimizer)
    state.values = values
    state.alpha = adapter.lora_alpha
    state.optimizer = loaded
    state.gradient.fill(0)
  })
