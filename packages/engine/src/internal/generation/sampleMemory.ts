/** The sizes of runs that sample, and how much memory they take. */
import * as budget from "../model/budget.ts"
import * as memory from "../model/memory.ts"
import { nextPowerOfTwo } from "../util/shape.ts"

/** Of a KV cache. @internal */
export const smallestCapacity = 64

/** A cache grows by these steps. Where each number of rows is compiled, there are no others. */
const rowCounts = [1, 4, 8, 16, 32, 64, 96]

/** The rows of a cache for so many sequences. @internal */
export const rowsFor = (count: number): number => rowCounts.find((rows) => count <= rows) ?? Math.max(...rowCounts)

const shortestPrefill = 16

/** How many tokens of a prompt are read at a time: sequences that are being sampled wait so long. @internal */
export const chunkSize = 128

/** The positions of a run for so many tokens of a prompt. @internal */
export const chunkLength = (tokens: number): number => Math.min(chunkSize, nextPowerOfTwo(tokens, shortestPrefill))

/** How many tokens of prompts are read between two steps, padding included. @internal */
export const promptTokensPerRound = 2 * chunkSize

/** The run that reads a prompt, padded to a power of two. @internal */
export const promptShape = (tokens: number, allLogits: boolean): memory.RunShape => {
  const length = nextPowerOfTwo(tokens, shortestPrefill)
  return { rows: 1, length, targets: 1, backward: false, logits: allLogits ? length : 1 }
}

/** What a request takes for a number of rows. */
type SizeOf = (rows: number) => number

const sizeOf = (model: budget.ModelMemory, prompt: number, maxTokens: number, allLogits: boolean): SizeOf => {
  const read = memory.runSize(model, promptShape(prompt, allLogits))
  const capacity = nextPowerOfTwo(prompt + maxTokens, smallestCapacity)
  return (rows) => read + model.widenedValues + memory.generationSize(model.config, prompt, rows, capacity)
}

/** The values that one sequence takes. @internal */
export const size = (model: budget.ModelMemory, prompt: number, maxTokens: number): number =>
  sizeOf(model, prompt, maxTokens, false)(1)

/** An adapter is held by its sampler, and beside others by the batch. */
const adapterCopies = 2

/** Why not even one sequence, with an adapter of so many values, fits into the memory budget, or `undefined`. @internal */
export const problem = (
  model: budget.ModelMemory,
  prompt: number,
  maxTokens: number,
  allLogits: boolean,
  adapterSize = 0
): string | undefined =>
  budget.problem(
    model,
    sizeOf(model, prompt, maxTokens, allLogits)(1) + adapterCopies * adapterSize,
    `a prompt of ${prompt} tokens with up to ${maxTokens} more`,
    "shorten the prompt or lower max_tokens"
  )

/** Whether so many rows of up to so many tokens fit into the memory budget. @internal */
export const rowsFit = (model: budget.ModelMemory, rows: number, tokens: number): boolean => {
  const read = memory.runSize(model, promptShape(tokens, false))
  const capacity = nextPowerOfTwo(tokens, smallestCapacity)
  return budget.fits(
    model,
    read + model.widenedValues + memory.generationSize(model.config, tokens, rowsFor(rows), capacity)
  )
}

const mostPrefixBytes = 2 ** 28

/** How many bytes of keys and values are remembered of prompts: an eighth of what is free for requests. @internal */
export const prefixBytes = (model: budget.ModelMemory): number =>
  Math.min(mostPrefixBytes, Math.max(0, model.memoryBudget - budget.estimate(model, 0)) / 8)
