/** Refuses requests that would take more memory than the process may use. */
import type { ModelConfig } from "../../ModelConfig.ts"
import { type Executor, quantizedBlock } from "../executors/executor.ts"
import { sizeOf } from "../util/shape.ts"
import * as architecture from "./architecture.ts"
import * as memory from "./memory.ts"

/** What Node, the engine's code and ONNX Runtime take without a request. */
const processBytes = 250 * 2 ** 20

const bytesPerValue = 4

/** @internal */
export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(bytes < 1e10 ? 2 : 0)} GB`

/** What is known of a model before its weights are loaded, by which requests are estimated. @internal */
export interface ModelMemory {
  readonly name: string
  readonly config: ModelConfig
  /** the largest microbatch */
  readonly maxTokensPerRun: number
  /** which runs are computed in blocks, and of how many positions */
  readonly blocks: memory.BlockOptions
  /** in bytes; requests that would take more are refused */
  readonly memoryBudget: number
  /** how many bytes the weights take */
  readonly weightBytes: number
  /** how many values programs of all layers widen, beside those that programs of one layer widen */
  readonly widenedValues: number
  /** whether the bits of a sample depend on its own request alone */
  readonly deterministic: boolean
}

/** @internal */
export interface Options {
  readonly maxTokensPerRun?: number | undefined
  /** in bytes */
  readonly memoryBudget: number
  readonly deterministic?: boolean | undefined
  readonly quantizedSampling?: boolean | undefined
}

/** Weights in 8 bits with their scales, once as they were read and once as they are packed for products. */
const quantizedBytes = 2 * (1 + bytesPerValue / quantizedBlock)

/** How many copies of stored weights there are: WebAssembly has one of its own. */
const copiesOf = ({ name }: Executor): number => (name === "wasm" ? 2 : 1)

/** The share of the budget from which on weights are kept in 16 bits or fewer, where their files have them so. */
const packedShare = 1 / 4

/** Whether weights in 16 bits or fewer are kept so: they would take much of the memory in float32. @internal */
export const keepsPacked = (config: ModelConfig, executor: Executor, { memoryBudget }: Options): boolean =>
  executor.widensInRuns && bytesPerValue * valuesOf(config) > packedShare * memoryBudget

const valuesOf = (config: ModelConfig): number =>
  architecture.expectedWeights(config).reduce((sum, [, shape]) => sum + sizeOf(shape), 0)

/** @internal */
export const make = (
  name: string,
  config: ModelConfig,
  executor: Executor,
  { deterministic, maxTokensPerRun, memoryBudget, quantizedSampling }: Options,
  {
    hasFewBits,
    packedBytes
  }: {
    readonly hasFewBits: boolean
    /** how many bytes the weights take as their file has them, if they are kept so */
    readonly packedBytes: number | undefined
  }
): ModelMemory => {
  const values = valuesOf(config)
  // one layer, and a part of the unembedding
  const headRows = memory.headRowsOf(config)
  const layers = values - config.vocab_size * config.hidden_size
  const widened = headRows * config.hidden_size + layers / config.num_layers
  const keepsQuantized = quantizedSampling === true && hasFewBits && executor.takesQuantized
  return {
    name,
    config,
    maxTokensPerRun: maxTokensPerRun ?? memory.defaultTokensPerRun(config),
    // layer by layer, so that the weights of one layer are widened at a time
    blocks: packedBytes !== undefined ? { ...memory.defaultBlocks, largestWhole: 0, headRows } : memory.defaultBlocks,
    memoryBudget,
    weightBytes:
      (packedBytes === undefined
        ? values * bytesPerValue * copiesOf(executor)
        : packedBytes + bytesPerValue * widened) + (keepsQuantized ? quantizedBytes * values : 0),
    widenedValues: packedBytes === undefined ? 0 : values - widened,
    deterministic: deterministic === true
  }
}

/** What a process with the model takes for a request of a size in values, in bytes. @internal */
export const estimate = ({ weightBytes }: ModelMemory, values: number): number =>
  processBytes + weightBytes + bytesPerValue * values

/** Whether a request of a size in values fits. @internal */
export const fits = (model: ModelMemory, values: number): boolean => estimate(model, values) <= model.memoryBudget

/**
 * Why a request of a size in values does not fit, or `undefined`. `what` names it, and `advice` says how to make it smaller.
 *
 * @internal
 */
export const problem = (model: ModelMemory, values: number, what: string, advice: string): string | undefined =>
  fits(model, values)
    ? undefined
    : `${what} needs about ${gigabytes(estimate(model, values))} of memory, ${gigabytes(bytesPerValue * values)} of them ` +
      `for this request, but the budget of the engine is ${gigabytes(model.memoryBudget)}: ${advice}, or raise the ` +
      "option memoryBudget of the engine"
