/** How many sequences of a request are generated together, and how much memory this takes. */
import * as budget from "../model/budget.ts"
import * as memory from "../model/memory.ts"
import { nextPowerOfTwo } from "../util/shape.ts"

/** Of a KV cache. @internal */
export const smallestCapacity = 64

/** Each number of rows is compiled, so there are few. */
const rowCounts = [1, 4, 8, 16, 32, 64]

/** The rows of a cache for so many sequences. @internal */
export const rowsFor = (count: number): number => rowCounts.find((rows) => count <= rows) ?? Math.max(...rowCounts)

const shortestPrefill = 16

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
  return (rows) => read + memory.generationSize(model.config, prompt, rows, capacity)
}

/** Why not even one sequence fits into the memory budget, or `undefined`. @internal */
export const problem = (
  model: budget.ModelMemory,
  prompt: number,
  maxTokens: number,
  allLogits: boolean
): string | undefined =>
  budget.problem(
    model,
    sizeOf(model, prompt, maxTokens, allLogits)(1),
    `a prompt of ${prompt} tokens with up to ${maxTokens} more`,
    "shorten the prompt or lower max_tokens"
  )

/** How many sequences are generated together: as many as fit into the memory budget, and at least one. @internal */
export const rowsThatFit = (
  model: budget.ModelMemory,
  prompt: number,
  maxTokens: number,
  allLogits: boolean,
  count: number
): number => {
  const size = sizeOf(model, prompt, maxTokens, allLogits)
  return Math.max(1, ...rowCounts.filter((rows) => rows <= rowsFor(count) && budget.fits(model, size(rows))))
}
