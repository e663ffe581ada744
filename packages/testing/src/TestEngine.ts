/**
 * An `Engine` for tests: small, pure and deterministic. Its model is a bigram model that really trains: losses fall,
 * gradients accumulate, checkpoints restore weights and optimizer, and the same program gives the same numbers on every
 * machine. Tokens are 0 to 255, and the text of a token is the character of that code.
 *
 * @since 0.1.0
 */
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { DurationInput } from "./internal/util/duration.ts"
import { losses } from "./internal/engine/bigram.ts"
import { Rows } from "./internal/engine/distribution.ts"
import { makeModel } from "./internal/engine/model.ts"
import { sample } from "./internal/engine/sampler.ts"
import { maxContextLength as contextLength, userError, Vocabulary } from "./internal/engine/vocabulary.ts"

/**
 * The name of the base model by default.
 *
 * @since 0.1.0
 * @category constants
 */
export const baseModel = "effect-tinker/test"

/**
 * The size of the vocabulary by default.
 *
 * @since 0.1.0
 * @category constants
 */
export const vocabularySize = 256

/**
 * The longest input or prompt with its samples, in tokens.
 *
 * @since 0.1.0
 * @category constants
 */
export const maxContextLength = contextLength

/**
 * @since 0.1.0
 * @category models
 */
export type OperationName =
  | "forward"
  | "forwardBackward"
  | "optimStep"
  | "adapter"
  | "optimizer"
  | "load"
  | "sample"
  | "createModel"
  | "createSampler"

/**
 * An operation that reached the engine.
 *
 * @since 0.1.0
 * @category models
 */
export interface Operation {
  /** the number of the operation over all models and samplers, from 0 */
  readonly index: number
  readonly name: OperationName
  /** the number of the model, or of the sampler, in order of creation, from 0 */
  readonly target: number
  /** the argument of the operation, such as `PassOptions`, `AdamParams` or `SampleOptions` */
  readonly input: unknown
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** the names of the base models, which all are the same model */
  readonly models?: ReadonlyArray<string> | undefined
  /** the size of the vocabulary: operations are faster with a smaller one; 256 */
  readonly vocabularySize?: number | undefined
  /** what samplers compute of the optional fields of `SampleOptions`; all */
  readonly scoring?: ReadonlyArray<Engine.ScoringOption> | undefined
  /** runs before each operation, and may delay it or fail in its place */
  readonly before?: ((operation: Operation) => Effect.Effect<void, Engine.EngineError>) | undefined
  /**
   * How long each token of a sample takes, if its request wants to know tokens as they are sampled. By default samples take no
   * time, and their tokens are known at the end.
   */
  readonly pace?: DurationInput | undefined
  /** whether `operations` are recorded; true */
  readonly record?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface TestEngine {
  readonly engine: Engine.Service
  readonly layer: Layer.Layer<Engine.Engine>
  /** the operations in the order in which they began */
  readonly operations: Effect.Effect<ReadonlyArray<Operation>>
  /** how many models and samplers are not released yet */
  readonly live: Effect.Effect<{ readonly models: number; readonly samplers: number }>
}

/** What all models and samplers of an engine share. */
interface EngineState {
  readonly options: Options
  readonly names: ReadonlyArray<string>
  readonly vocabulary: Vocabulary
  readonly operations: Array<Operation>
  readonly live: { models: number; samplers: number }
  /** how many were created, and how many operations began */
  readonly counts: { models: number; samplers: number; operations: number }
}

/**
 * An engine with a record of its operations.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<TestEngine> =>
  Effect.sync(() => {
    const state: EngineState = {
      options,
      names: options.models ?? [baseModel],
      vocabulary: new Vocabulary(options.vocabularySize ?? vocabularySize),
      operations: [],
      live: { models: 0, samplers: 0 },
      counts: { models: 0, samplers: 0, operations: 0 }
    }
    const engine: Engine.Service = {
      models: state.names.map((model_name) => ({ model_name, max_context_length: maxContextLength, arch: "bigram" })),
      losses,
      scoring: options.scoring ?? Engine.scoringOptions,
      passProblem: (_, { data }) => state.vocabulary.dataProblem(data),
      createModel: (options) => createModel(state, options),
      createSampler: (options) => createSampler(state, options)
    }
    return {
      engine,
      layer: Layer.succeed(Engine.Engine, engine),
      operations: Effect.sync(() => state.operations.slice()),
      live: Effect.sync(() => ({ ...state.live }))
    }
  })

/** Records an operation, and runs the hook of the test before it. */
const begin = ({ counts, operations, options }: EngineState, name: OperationName, target: number, input: unknown) =>
  Effect.suspend(() => {
    const operation = { index: counts.operations++, name, target, input }
    if (options.record !== false) operations.push(operation)
    return options.before === undefined ? Effect.void : options.before(operation)
  })

const checkBaseModel = ({ names }: EngineState, name: string) =>
  names.includes(name) ? Effect.void : userError(`no base model ${name}: there are ${names.join(", ")}`)

/** Counts a model or sampler as live until the scope closes. */
const countLive = ({ live }: EngineState, kind: "models" | "samplers") =>
  Effect.acquireRelease(
    Effect.sync(() => {
      live[kind] += 1
    }),
    () =>
      Effect.sync(() => {
        live[kind] -= 1
      })
  )

const createModel = Effect.fnUntraced(function* (
  state: EngineState,
  options: Parameters<Engine.Service["createModel"]>[0]
) {
  const { base_model, lora_config } = options
  const target = state.counts.models++
  yield* checkBaseModel(state, base_model)
  yield* begin(state, "createModel", target, { base_model, lora_config })
  yield* countLive(state, "models")
  return makeModel({
    vocabulary: state.vocabulary,
    base_model,
    lora_config,
    target,
    begin: (name, input) => begin(state, name, target, input)
  })
})

const createSampler = Effect.fnUntraced(function* (
  state: EngineState,
  options: Parameters<Engine.Service["createSampler"]>[0]
) {
  const { adapter, base_model } = options
  const { vocabulary } = state
  const target = state.counts.samplers++
  yield* checkBaseModel(state, base_model)
  yield* begin(state, "createSampler", target, { base_model, adapter })
  yield* countLive(state, "samplers")
  const { pace } = state.options
  const pause = pace === undefined ? undefined : Effect.sleep(pace)
  const rows = adapter === undefined ? vocabulary.baseRows : new Rows(yield* vocabulary.tableOf(adapter))
  const sampler: Engine.EngineSampler = {
    sample: (options) =>
      Effect.flatMap(begin(state, "sample", target, options), () => sample(vocabulary, rows, options, pause))
  }
  return sampler
})

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Engine.Engine> =>
  Layer.unwrapEffect(Effect.map(make(options), (self) => self.layer))
