/**
 * An `Engine` that trains and samples: decoders of the Llama family and its relatives with LoRA adapters, on the CPU. jax-js
 * traces and differentiates the model; ONNX Runtime or WebAssembly runs it.
 *
 * ```ts
 * import { JaxEngine } from "@effect-tinker/engine"
 * import { NodeContext } from "@effect/platform-node"
 * import { Layer } from "effect"
 *
 * const EngineLive = JaxEngine.layer().pipe(Layer.provide(NodeContext.layer))
 * ```
 *
 * - **Adapters** are PEFT's: `y = x W^T + (32 / rank) (x A^T) B^T`. B starts at zero; A starts uniform in ±1/sqrt(in),
 *   by the seed. They are on q, k, v, o (`train_attn`), gate, up, down (`train_mlp`) and the unembedding
 *   (`train_unembed`).
 * - **Losses** are sums over tokens and datums: `cross_entropy` with one or several targets per position,
 *   `importance_sampling`, `ppo`, `cispo`, `dro`, `gspo` and `stable_reinforce` (docs/wire.md has the formulas). `weights`
 *   default to 1, `beta` of `dro` to 0.05, and `kl_coeff` of `stable_reinforce` to 0. Clip thresholds can be given per
 *   token, as loss inputs with the names of the config keys. `gspo` runs an additional forward pass.
 * - **Gradients** accumulate until `optimStep`. A `forwardBackward` that fails or is interrupted adds nothing. A step
 *   without a gradient uses zeros: moments and weight decay still apply. A step fails if the gradient is not finite; it
 *   then drops the gradient and changes nothing else.
 * - **Samplers** use the weights at the time of their creation. The random numbers of sequence `i` of a request come from
 *   a hash of the seed and `i`: neighbouring seeds share no sequences, and other sequences make no difference. Logprobs
 *   are of the model's distribution, before temperature, `top_k` and `top_p`. A sequence includes the token that ends it. Sequences end at the model's end-of-text tokens and at those
 *   of `stop`; with an empty `stop`, they end only at `max_tokens`.
 * - **Long sequences** are computed layer by layer and in blocks, in memory that grows in proportion to their length. A
 *   request that would need more than `memoryBudget` is refused before anything is computed.
 * - **Batches**: sequences of all requests for a base model and its checkpoints are extended together. Long prompts are read in chunks between
 *   the steps, and what is known of a prompt is not read again: `prompt_cache_hit_tokens` has the number of such tokens.
 * - **Determinism**: equal data, seeds and calls in the same order give results that are equal to the bit, on the same
 *   executor. What else is sampled at the same time, or was before, changes logprobs by rounding, unless `deterministic`
 *   is set.
 *
 * The engine blocks its thread while it computes. It yields to timers and I/O after each microbatch of about a thousand
 * tokens, and after each step of sampling.
 *
 * @since 0.1.0
 */
import { availableMemory, kindOfMachine } from "#machine-memory"
import * as Engine from "@effect-tinker/server/Engine"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as baseModels from "./internal/engine/baseModels.ts"
import * as engine from "./internal/engine/engine.ts"
import * as executors from "./internal/executors/choose.ts"
import * as programCache from "./internal/executors/programCache.ts"
import { userError } from "./internal/util/errors.ts"
import * as ModelDirectory from "./ModelDirectory.ts"

/**
 * The name of the model that ships with this package.
 *
 * @since 0.1.0
 * @category constants
 */
export const nano = ModelDirectory.nanoName

/**
 * A base model that the engine offers.
 *
 * @since 0.1.0
 * @category models
 */
export interface BaseModel {
  /** the name that clients use */
  readonly name: string
  /** a directory in the format of Hugging Face, or a GGUF file */
  readonly directory: string
  /** the name of its tokenizer for clients, if it differs from the name of the model */
  readonly tokenizer_id?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** base models besides `effect-tinker/nano`; a model with this name replaces it */
  readonly models?: ReadonlyArray<BaseModel> | undefined
  /**
   * The size of a microbatch in tokens. Larger microbatches are faster up to about a thousand tokens, and take more
   * memory. By default 1024, and less for models whose microbatch would take more than about 256 MB.
   */
  readonly maxTokensPerRun?: number | undefined
  /**
   * How much memory the process may use, in bytes. A request that is estimated to need more is refused before anything
   * is computed, with an error that has both numbers. By default four fifths of the machine's memory, or of the limit of
   * the control group. In browsers, 4 GiB in place of the machine's memory.
   */
  readonly memoryBudget?: number | undefined
  /**
   * What runs the model: `native` is ONNX Runtime, from the optional package `onnxruntime-node`; `wasm` is WebAssembly,
   * which works everywhere and is several times slower. The default, `auto`, is `native` where it can be loaded, and
   * `wasm` elsewhere. Their results are equal up to rounding.
   */
  readonly executor?: "auto" | "native" | "wasm" | undefined
  /**
   * Whether the `tokenizer_id` of a model that has none is its directory, for clients on this machine: the official client
   * loads a tokenizer from there, as ours does. By default false, since a directory means nothing to other machines.
   */
  readonly localTokenizers?: boolean | undefined
  /**
   * Whether the bits of a sample depend on its own request alone, whatever shares its batch and whatever came before. By
   * default false: logprobs are then equal up to rounding, a relative 1e-6, so that a token of nearly equal
   * probabilities may differ. It costs speed where few sequences are sampled at a time.
   */
  readonly deterministic?: boolean | undefined
  /**
   * Whether samples are computed with the weights of the base model as its GGUF file has them, in 4 or 8 bits, with
   * activations rounded to 8 bits: two to three times as fast, and about as exact as llama.cpp. Training, prompts and the
   * adapters of checkpoints are computed in float32 all the same, so that logprobs of samples differ from those of
   * training, which reinforcement learning must know. By default false. Only `native` does it, and not with `deterministic`.
   */
  readonly quantizedSampling?: boolean | undefined
  /**
   * The directory in which `native` keeps compiled programs, so that later processes start sooner; `false` for none. By
   * default `effect-tinker/programs` in the user's cache directory: `XDG_CACHE_HOME`, `LOCALAPPDATA` or `~/.cache`. It takes
   * at most 64 MB. What is in it does not change results, and may be removed at any time.
   */
  readonly programCache?: string | false | undefined
  /** the number of threads of `native`, by default 1; results with other numbers are equal up to rounding */
  readonly threads?: number | undefined
}

const defaultThreads = 1

/**
 * Which executor an engine takes on this machine.
 *
 * @since 0.1.0
 * @category models
 */
export interface ExecutorChoice {
  readonly executor: "native" | "wasm"
  /** why it is this one, such as what keeps the native one from loading */
  readonly reason: string
}

/**
 * Chooses an executor as `make` does, and says why it is this one. The engine itself logs the same when it starts, at
 * info level, or as a warning where a missing package makes it slow.
 *
 * @since 0.1.0
 * @category constructors
 */
export const chooseExecutor = (
  executor: Options["executor"] = "auto"
): Effect.Effect<ExecutorChoice, Engine.EngineError> =>
  Effect.scoped(
    Effect.map(executors.make(executor, defaultThreads), ({ executor, reason }) => ({
      executor: executor.name,
      reason
    }))
  )

/** The share of the memory of the machine that the engine uses by default. */
const defaultShare = 0.8

/** The model that ships with the package, which is not there where its files are not: other models do without it. */
const shippedModel = (hasOthers: boolean) =>
  ModelDirectory.nano.pipe(
    Effect.map((directory) => [{ name: nano, directory }]),
    Effect.catchAll((error) =>
      hasOthers ? Effect.as(Effect.logDebug(`${nano} is not offered: ${error.message}`), []) : Effect.fail(error)
    )
  )

/**
 * Makes an engine. It reads configurations and tokenizers at once, and the weights of a model when it is first used.
 * Weights stay in memory until the scope closes.
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
    if (options.quantizedSampling === true && options.deterministic === true) {
      return yield* userError("quantizedSampling and deterministic exclude each other: leave one of them out")
    }
    const cache = yield* programCache.make(options.programCache, kindOfMachine())
    const chosen = yield* executors.make(options.executor ?? "auto", options.threads ?? defaultThreads, cache)
    yield* executors.tell(chosen)
    const given = options.models ?? []
    const shipped = given.some(({ name }) => name === nano) ? [] : yield* shippedModel(given.length > 0)
    const models = yield* baseModels.open(shipped, given, chosen.executor, {
      ...options,
      memoryBudget: options.memoryBudget ?? defaultShare * availableMemory()
    })
    return engine.make(models)
  })

/**
 * Provides the engine.
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
