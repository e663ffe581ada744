/**
 * An `Engine` for tests: small, pure and deterministic. Its model is a table of logits by the token before, which really
 * trains: losses fall, gradients add up, saving and loading restore, and the same program gives the same numbers on
 * every machine. Tokens are 0 to 255, and a token's text is the character of that code.
 *
 * @since 0.1.0
 */
import type * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Training from "@effect-tinker/api/Training"
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as bigram from "./internal/bigram.ts"

/**
 * The name of the base model, unless others are asked for.
 *
 * @since 0.1.0
 * @category constants
 */
export const baseModel = "effect-tinker/test"

/**
 * The number of tokens that the models know, unless another is asked for.
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
export const maxContextLength = 1024

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
  /** from 0, over all models and samplers */
  readonly index: number
  readonly name: OperationName
  /** the number of the model or sampler in order of creation, from 0; models and samplers are counted apart */
  readonly target: number
  /** what the operation was given, such as `PassOptions`, `AdamParams` or `SampleOptions` */
  readonly input: unknown
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** names of the base models; all are the same model */
  readonly models?: ReadonlyArray<string> | undefined
  /** how many tokens the models know: fewer, and each operation is faster; 256 */
  readonly vocabularySize?: number | undefined
  /** runs before each operation: waits, or fails in its place */
  readonly before?: ((operation: Operation) => Effect.Effect<void, Engine.EngineError>) | undefined
  /** whether `operations` remembers them; it does by default */
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
  /** how many models and samplers are not yet released */
  readonly live: Effect.Effect<{ readonly models: number; readonly samplers: number }>
}

const weightName = "base_model.model.bigram.weight"

const userError = (reason: string) => new Engine.EngineError({ reason, category: "user" })

const checkLength = (length: number, what: string) =>
  length <= maxContextLength
    ? Effect.void
    : userError(`${what} has ${length} tokens, but the context length is ${maxContextLength}`)

/** What depends on the number of tokens. */
const vocabulary = (size: number) => {
  const area = size * size
  const moments = (values: Float32Array | undefined) =>
    values === undefined ? new Float32Array(area) : Float32Array.from(values)

  const checkTokens = (tokens: ArrayLike<number | bigint>, what: string) => {
    const index = bigram.unknownToken(tokens, size)
    return index < 0
      ? Effect.void
      : userError(`${what}[${index}] is ${tokens[index]}, but the vocabulary has ${size} tokens`)
  }

  const checkInput = (input: ModelInput.ModelInput, what: string): Effect.Effect<Int32Array, Engine.EngineError> =>
    Effect.suspend(() => {
      if (!ModelInput.isText(input)) return userError(`${what} has chunks that are not text`)
      const tokens = ModelInput.toTokens(input)
      return tokens.length === 0
        ? userError(`${what} is empty`)
        : Effect.as(Effect.zipRight(checkLength(tokens.length, what), checkTokens(tokens, what)), tokens)
    })

  return {
    size,
    checkInput,
    checkData: (data: ReadonlyArray<Datum.Datum>) =>
      Effect.forEach(
        data,
        (datum, index) => {
          const targets = datum.loss_fn_inputs["target_tokens"]!
          return Effect.zipRight(
            targets.shape !== undefined && targets.shape.length > 1
              ? userError(`data[${index}].loss_fn_inputs.target_tokens has more than one dimension`)
              : checkTokens(targets.data, `data[${index}].loss_fn_inputs.target_tokens`),
            checkInput(datum.model_input, `data[${index}].model_input`)
          )
        },
        { discard: true }
      ),
    emptyTable: (): bigram.Table => ({ size, values: new Float32Array(area) }),
    emptyGradient: () => new Float32Array(area),
    adamOf: (state: Engine.OptimizerState | undefined): bigram.Adam => ({
      step: state?.step ?? 0,
      first: moments(state?.first[weightName]),
      second: moments(state?.second[weightName])
    }),
    tableOf: (adapter: Engine.Adapter): Effect.Effect<bigram.Table, Engine.EngineError> => {
      const weight = adapter.weights[weightName]
      return weight === undefined || weight.data.length !== area
        ? Effect.fail(userError(`the adapter has no ${weightName} of ${area} values`))
        : Effect.succeed({ size, values: weight.data.slice() })
    }
  }
}

/**
 * An engine with its own record of operations.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<TestEngine> =>
  Effect.sync(() => {
    const operations: Array<Operation> = []
    const live = { models: 0, samplers: 0 }
    let count = 0
    let models = 0
    let samplers = 0

    const names = options.models ?? [baseModel]
    const words = vocabulary(options.vocabularySize ?? vocabularySize)

    const begin = (name: OperationName, target: number, input: unknown) =>
      Effect.suspend(() => {
        const operation = { index: count++, name, target, input }
        if (options.record !== false) operations.push(operation)
        return options.before === undefined ? Effect.void : options.before(operation)
      })

    const checkBaseModel = (name: string) =>
      names.includes(name) ? Effect.void : userError(`no base model ${name}: there are ${names.join(", ")}`)

    const counted = (kind: keyof typeof live) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          live[kind] += 1
        }),
        () =>
          Effect.sync(() => {
            live[kind] -= 1
          })
      )

    const createModel: Engine.Service["createModel"] = Effect.fnUntraced(function* ({ base_model, lora_config }) {
      const target = models++
      yield* checkBaseModel(base_model)
      yield* begin("createModel", target, { base_model, lora_config })
      yield* counted("models")
      let table = words.emptyTable()
      let adam = words.adamOf(undefined)
      const gradient = words.emptyGradient()
      let busy = false

      // the service promises that one fiber at a time uses a model
      const alone = <A>(name: OperationName, input: unknown, effect: Effect.Effect<A, Engine.EngineError>) =>
        Effect.suspend(() => {
          if (busy) return Effect.dieMessage(`model ${target}: ${name} began before the operation before it ended`)
          busy = true
          return Effect.zipRight(begin(name, target, input), effect)
        }).pipe(
          Effect.ensuring(
            Effect.sync(() => {
              busy = false
            })
          )
        )

      const pass = (
        name: OperationName,
        options: Engine.PassOptions,
        into: Float32Array | undefined
      ): Effect.Effect<Training.ForwardBackwardOutput, Engine.EngineError> =>
        alone(
          name,
          options,
          Effect.suspend(() => {
            const { data, loss_fn, loss_fn_config } = options
            if (!bigram.isLoss(loss_fn)) return userError(`no loss function ${loss_fn}`)
            return Effect.map(words.checkData(data), () => bigram.pass(table, data, loss_fn, loss_fn_config, into))
          })
        )

      const model: Engine.EngineModel = {
        forward: (options) => pass("forward", options, undefined),
        forwardBackward: (options) => pass("forwardBackward", options, gradient),
        optimStep: (params) =>
          alone(
            "optimStep",
            params,
            Effect.sync(() => {
              const norm = bigram.adamStep(table, gradient, adam, params)
              gradient.fill(0)
              return { metrics: { "grad_norm:mean": norm } }
            })
          ),
        adapter: alone(
          "adapter",
          undefined,
          Effect.sync(() => ({
            base_model,
            lora_config,
            lora_alpha: 32,
            weights: { [weightName]: { shape: [words.size, words.size], data: table.values.slice() } }
          }))
        ),
        optimizer: alone(
          "optimizer",
          undefined,
          Effect.sync(() => ({
            step: adam.step,
            first: { [weightName]: adam.first.slice() },
            second: { [weightName]: adam.second.slice() }
          }))
        ),
        load: (adapter, optimizer) =>
          alone(
            "load",
            { adapter, optimizer },
            Effect.map(words.tableOf(adapter), (loaded) => {
              table = loaded
              adam = words.adamOf(optimizer)
              gradient.fill(0)
            })
          )
      }
      return model
    })

    const createSampler: Engine.Service["createSampler"] = Effect.fnUntraced(function* ({ adapter, base_model }) {
      const target = samplers++
      yield* checkBaseModel(base_model)
      yield* begin("createSampler", target, { base_model, adapter })
      yield* counted("samplers")
      const table = adapter === undefined ? words.emptyTable() : yield* words.tableOf(adapter)
      const sampler: Engine.EngineSampler = {
        sample: Effect.fnUntraced(function* (options) {
          yield* begin("sample", target, options)
          const prompt = yield* words.checkInput(options.prompt, "prompt")
          const { max_tokens, seed } = options.sampling_params
          const count = max_tokens ?? maxContextLength - prompt.length
          yield* checkLength(prompt.length + count, "the prompt with the tokens to sample")
          const scored = bigram.promptLogprobs(table, prompt, options.topk_prompt_logprobs)
          return {
            sequences: Array.from({ length: options.num_samples }, (_, index) =>
              bigram.sample(table, prompt, options.sampling_params, count, (seed ?? 0) + index)
            ),
            ...(options.prompt_logprobs ? { prompt_logprobs: scored.logprobs } : {}),
            ...(options.topk_prompt_logprobs > 0 ? { topk_prompt_logprobs: scored.top } : {}),
            prompt_cache_hit_tokens: 0,
            type: "sample" as const
          }
        })
      }
      return sampler
    })

    const engine: Engine.Service = {
      models: names.map((model_name) => ({ model_name, max_context_length: maxContextLength, arch: "bigram" })),
      createModel,
      createSampler
    }

    return {
      engine,
      layer: Layer.succeed(Engine.Engine, engine),
      operations: Effect.sync(() => operations.slice()),
      live: Effect.sync(() => ({ ...live }))
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Engine.Engine> =>
  Layer.unwrapEffect(Effect.map(make(options), (self) => self.layer))
