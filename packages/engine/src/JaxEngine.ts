/**
 * The `Engine` that really trains: decoders of the Llama and Qwen3 families with LoRA adapters, traced and
 * differentiated by jax-js, and run on the CPU, by ONNX Runtime or in WebAssembly.
 *
 * ```ts
 * import { JaxEngine } from "@effect-tinker/engine"
 * import { NodeContext } from "@effect/platform-node"
 * import { Layer } from "effect"
 *
 * const EngineLive = JaxEngine.layer().pipe(Layer.provide(NodeContext.layer))
 * ```
 *
 * What is computed:
 *
 * - Adapters are PEFT's: `y = x W^T + (32 / rank) (x A^T) B^T`, with A uniform in ±1/sqrt(in) by the seed, and B zero.
 *   They sit on q, k, v, o (`train_attn`), on gate, up, down (`train_mlp`) and on the unembedding (`train_unembed`). A
 *   value of A depends on the seed, its layer and its place alone.
 * - Losses are sums over positions and datums. Weights that a datum lacks are 1. `cross_entropy` takes `K` targets per
 *   position. The other losses are `importance_sampling`, `ppo`, `cispo` and `dro`; thresholds may be given per token,
 *   as inputs named like the config's keys. `beta` of `dro` is 0.05 unless given.
 * - A pass that fails or is interrupted leaves no gradient. A step without a gradient takes it as zero: moments and
 *   weight decay go on. A step whose gradient is not finite fails, changes nothing and drops the gradient.
 * - Equal data, seeds and calls give equal bits, on the same executor.
 * - A sampler has the weights of the moment it was created. Sequence `i` of a request draws from the seed plus `i`,
 *   whatever else is sampled; logprobs are of the model's own distribution, before temperature, `top_k` and `top_p`.
 *   The token that ends a sequence is part of it. Texts end at the model's end-of-text tokens; `stop` adds to these,
 *   and an empty `stop` takes them away.
 *
 * Work yields to timers and I/O after every run of about a thousand positions, and after every sampled token.
 *
 * @since 0.1.0
 */
import * as Engine from "@effect-tinker/server/Engine"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as baseModel from "./internal/model/loaded.ts"
import { serverError, userError } from "./internal/util/errors.ts"
import * as executors from "./internal/executors/choose.ts"
import * as sampler from "./internal/generation/sampler.ts"
import * as snapshots from "./internal/lora/mergedWeights.ts"
import * as trainer from "./internal/training/trainer.ts"
import * as ModelDirectory from "./ModelDirectory.ts"

/**
 * The name of the model that ships with this package.
 *
 * @since 0.1.0
 * @category constants
 */
export const nano = ModelDirectory.nanoName

/**
 * A base model on offer, from a directory in Hugging Face's form.
 *
 * @since 0.1.0
 * @category models
 */
export interface BaseModel {
  /** by which clients ask for it */
  readonly name: string
  readonly directory: string
  /** by which clients find its tokenizer, where that is not the name */
  readonly tokenizer_id?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** base models besides `effect-tinker/nano`; one of that name takes its place */
  readonly models?: ReadonlyArray<BaseModel> | undefined
  /** how many positions go into one run; more is faster up to about a thousand, and takes more memory. By default 1024,
   * and fewer for models so large that a run would take more than about 256 MB */
  readonly maxTokensPerRun?: number | undefined
  /**
   * What computes: `native` is ONNX Runtime, from the optional package `onnxruntime-node`; `wasm` is WebAssembly, which
   * is everywhere, and several times slower. By default `auto`: `native` where it loads, else `wasm`. Their results are
   * equal up to rounding.
   */
  readonly executor?: "auto" | "native" | "wasm" | undefined
  /** how many threads `native` computes with; by default 1. Results do not depend on it beyond rounding */
  readonly threads?: number | undefined
}

const defaultThreads = 1

/** How many adapters stay merged with their base model while nothing samples from them. */
const idleSnapshots = 2

interface Loaded {
  readonly base: baseModel.BaseModel
  readonly snapshots: snapshots.Snapshots
}

interface Offer {
  readonly info: Engine.BaseModel
  readonly load: Effect.Effect<Loaded, Engine.EngineError>
}

/**
 * An engine over directories. Configurations and tokenizers are read at once, weights when a model is first used; they
 * stay in memory until the scope closes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<
  Engine.Service,
  ModelDirectory.ModelDirectoryError | Engine.EngineError,
  FileSystem.FileSystem | Path.Path | Scope.Scope
> =>
  Effect.gen(function* () {
    const services = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
    const executor = yield* executors.make(options.executor ?? "auto", options.threads ?? defaultThreads)
    const given = options.models ?? []
    const shipped = given.some(({ name }) => name === nano)
      ? []
      : [{ name: nano, directory: yield* ModelDirectory.nano }]

    const offers = new Map<string, Offer>()
    for (const { directory, name, tokenizer_id } of [...shipped, ...given] as ReadonlyArray<BaseModel>) {
      const opened = yield* ModelDirectory.open(directory)
      const load = Effect.gen(function* () {
        const weights = yield* ModelDirectory.weights(opened).pipe(
          Effect.mapError((cause) => serverError(`the base model ${name} cannot be loaded: ${cause.message}`, cause)),
          Effect.provide(services)
        )
        const base = yield* baseModel.make(name, opened, weights, executor, options.maxTokensPerRun)
        return { base, snapshots: snapshots.make(base, idleSnapshots) }
      })
      offers.set(name, {
        info: {
          model_name: name,
          max_context_length: opened.config.max_context_length,
          arch: opened.config.model_type,
          ...(tokenizer_id === undefined ? {} : { tokenizer_id })
        },
        // an interruption would be kept as the result
        load: yield* Effect.cached(Effect.uninterruptible(load))
      })
    }

    const find = (name: string): Effect.Effect<Loaded, Engine.EngineError> => {
      const offer = offers.get(name)
      return (
        offer?.load ?? userError(`the base model ${name} is not on offer: there are ${[...offers.keys()].join(", ")}`)
      )
    }

    const engine: Engine.Service = {
      models: [...offers.values()].map(({ info }) => info),
      createModel: ({ base_model, lora_config }) =>
        Effect.flatMap(find(base_model), ({ base }) => trainer.make(base, lora_config)),
      createSampler: ({ adapter, base_model }) =>
        Effect.gen(function* () {
          const { base, snapshots } = yield* find(base_model)
          if (adapter === undefined) return { sample: (options) => sampler.sample(base, base.stored, options) }
          yield* snapshots.check(adapter)
          yield* Effect.addFinalizer(() => snapshots.forget(adapter))
          return {
            sample: (options) => snapshots.use(adapter, (weights) => sampler.sample(base, weights, options))
          }
        })
    }
    return engine
  })

/**
 * The engine as a service.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<
  Engine.Engine,
  ModelDirectory.ModelDirectoryError | Engine.EngineError,
  FileSystem.FileSystem | Path.Path
> => Layer.scoped(Engine.Engine, make(options))
