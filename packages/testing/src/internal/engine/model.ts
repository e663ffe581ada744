/** A model of the test engine in training: a table of logits, its gradient, and the state of AdamW. */
import type * as Training from "@effect-tinker/api/Training"
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as bigram from "./bigram.ts"
import type { Table } from "./distribution.ts"
import { userError, type Vocabulary, weightName } from "./vocabulary.ts"

/** @internal */
export type ModelOperation = "forward" | "forwardBackward" | "optimStep" | "adapter" | "optimizer" | "load"

/** @internal */
export interface ModelOptions {
  readonly vocabulary: Vocabulary
  readonly base_model: string
  readonly lora_config: Engine.Adapter["lora_config"]
  /** identifies the model in error messages */
  readonly target: number
  /** runs at the start of each operation */
  readonly begin: (name: ModelOperation, input: unknown) => Effect.Effect<void, Engine.EngineError>
}

interface ModelState {
  readonly options: ModelOptions
  readonly gradient: Float32Array
  table: Table
  adam: bigram.Adam
  /** whether an operation runs */
  busy: boolean
}

/** @internal */
export const makeModel = (options: ModelOptions): Engine.EngineModel => {
  const { vocabulary } = options
  const state: ModelState = {
    options,
    gradient: vocabulary.zeros(),
    table: vocabulary.emptyTable(),
    adam: vocabulary.adamOf(undefined),
    busy: false
  }
  return {
    forward: (options) => pass(state, "forward", options, undefined),
    forwardBackward: (options) => pass(state, "forwardBackward", options, state.gradient),
    optimStep: (params) => optimStep(state, params),
    adapter: copyAdapter(state),
    optimizer: copyOptimizer(state),
    load: (adapter, optimizer) => load(state, adapter, optimizer)
  }
}

/** Runs an operation. Dies if another one runs, since the service promises to run one at a time. */
const exclusively = <A>(
  state: ModelState,
  name: ModelOperation,
  input: unknown,
  effect: Effect.Effect<A, Engine.EngineError>
): Effect.Effect<A, Engine.EngineError> => {
  const { begin, target } = state.options
  return Effect.suspend(() => {
    if (state.busy) return Effect.die(new Error(`model ${target}: ${name} began before the previous operation ended`))
    state.busy = true
    return Effect.flatMap(begin(name, input), () => effect)
  }).pipe(
    Effect.ensuring(
      Effect.sync(() => {
        state.busy = false
      })
    )
  )
}

const pass = (
  state: ModelState,
  name: "forward" | "forwardBackward",
  options: Engine.PassOptions,
  gradient: Float32Array | undefined
): Effect.Effect<Training.ForwardBackwardOutput, Engine.EngineError> => {
  const { data, loss_fn, loss_fn_config } = options
  const work = Effect.suspend(() => {
    if (!bigram.isLoss(loss_fn)) return userError(`no loss function ${loss_fn}`)
    return Effect.map(state.options.vocabulary.checkData(data), () =>
      bigram.pass(state.table, data, loss_fn, loss_fn_config, gradient)
    )
  })
  return exclusively(state, name, options, work)
}

const optimStep = (
  state: ModelState,
  params: Training.AdamParams
): Effect.Effect<Training.OptimStepResponse, Engine.EngineError> =>
  exclusively(
    state,
    "optimStep",
    params,
    Effect.sync(() => {
      const norm = bigram.adamStep(state.table, state.gradient, state.adam, params)
      state.gradient.fill(0)
      return { metrics: { "grad_norm:mean": norm } }
    })
  )

const copyAdapter = (state: ModelState): Effect.Effect<Engine.Adapter, Engine.EngineError> => {
  const { base_model, lora_config, vocabulary } = state.options
  const shape = [vocabulary.size, vocabulary.size]
  return exclusively(
    state,
    "adapter",
    undefined,
    Effect.sync(() => ({
      base_model,
      lora_config,
      lora_alpha: 32,
      weights: { [weightName]: { shape, data: state.table.values.slice() } }
    }))
  )
}

const copyOptimizer = (state: ModelState): Effect.Effect<Engine.OptimizerState, Engine.EngineError> =>
  exclusively(
    state,
    "optimizer",
    undefined,
    Effect.sync(() => ({
      step: state.adam.step,
      first: { [weightName]: state.adam.first.slice() },
      second: { [weightName]: state.adam.second.slice() }
    }))
  )

const load = (
  state: ModelState,
  adapter: Engine.Adapter,
  optimizer: Engine.OptimizerState | undefined
): Effect.Effect<void, Engine.EngineError> => {
  const { vocabulary } = state.options
  return exclusively(
    state,
    "load",
    { adapter, optimizer },
    Effect.map(vocabulary.tableOf(adapter), (loaded) => {
      state.table = loaded
      state.adam = vocabulary.adamOf(optimizer)
      state.gradient.fill(0)
    })
  )
}
