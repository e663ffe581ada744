/** A model in training, as the engine's interface has it. */
import type * as Model from "@effect-tinker/api/Model"
import type * as Training from "@effect-tinker/api/Training"
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { LoadedModel } from "../model/loaded.ts"
import * as adapterState from "./adapterState.ts"
import { runBatch } from "./runBatch.ts"

/** Adds the gradient of the whole batch at the end: a batch that fails or is interrupted adds nothing. */
const forwardBackward = (
  state: adapterState.AdapterState,
  options: Engine.PassOptions
): Effect.Effect<Training.ForwardBackwardOutput, Engine.EngineError> =>
  Effect.map(runBatch(state, options, true), ({ gradient, output }) => {
    const sum = state.gradient
    for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + gradient[i]!
    return output
  })

/** A new adapter on a base model. Without a seed, it draws one from `Random`. @internal */
export const make = (
  model: LoadedModel,
  loraConfig: Model.LoraConfig
): Effect.Effect<Engine.EngineModel, Engine.EngineError> =>
  Effect.gen(function* () {
    const seed = loraConfig.seed ?? (yield* Random.nextIntBetween(0, 2 ** 31))
    const state = yield* adapterState.make(model, { ...loraConfig, seed }, seed)
    const trainer: Engine.EngineModel = {
      forward: (options) => Effect.map(runBatch(state, options, false), ({ output }) => output),
      forwardBackward: (options) => forwardBackward(state, options),
      optimStep: (params) => adapterState.optimStep(state, params),
      adapter: Effect.sync(() => adapterState.exportAdapter(state)),
      optimizer: Effect.sync(() => adapterState.exportOptimizer(state)),
      load: (adapter, optimizer) => adapterState.load(state, adapter, optimizer)
    }
    return trainer
  })
