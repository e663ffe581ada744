/** What a model will take in memory, said before its weights are loaded; and whether it fits at all. */
import * as sampleMemory from "../generation/sampleMemory.ts"
import * as budget from "../model/budget.ts"
import * as passMemory from "../training/passMemory.ts"

/** The rows and tokens of the microbatch that is named as an example. */
const example = { rows: 2, length: 256 }

/** The prompt and the new tokens of the sample that is named as an example. */
const sampled = { prompt: 512, maxTokens: 512 }

const training = (model: budget.ModelMemory, rows: number, length: number): number =>
  passMemory.size(
    model,
    0,
    Array.from({ length: rows }, () => ({ tokens: length, targets: 1 })),
    true
  )

/**
 * What the model takes, for a log. The adapter and its optimizer come on top of it.
 *
 * @internal
 */
export const describe = (model: budget.ModelMemory): string => {
  const bytes = (values: number): string => budget.gigabytes(budget.estimate(model, values))
  const { maxTokens, prompt } = sampled
  const values = sampleMemory.size(model, prompt, maxTokens)
  const sampling = budget.fits(model, values)
    ? `${bytes(values)} to sample ${maxTokens} tokens after ${prompt}`
    : `${bytes(values)} to sample, which is more than that`
  return (
    `${model.name} takes about ${bytes(0)} of the memory budget of ${budget.gigabytes(model.memoryBudget)} once it is ` +
    `loaded, ${bytes(training(model, example.rows, example.length))} to train on ${example.rows} x ${example.length} ` +
    `tokens, and ${sampling}`
  )
}

/** Why the model fits neither for training nor for sampling, or `undefined`. @internal */
export const problem = (model: budget.ModelMemory): string | undefined => {
  const values = Math.min(training(model, 1, 1), sampleMemory.size(model, 1, 1))
  return budget.fits(model, values)
    ? undefined
    : `the model needs about ${budget.gigabytes(budget.estimate(model, values))} of memory for a single token, but the ` +
        `budget of the engine is ${budget.gigabytes(model.memoryBudget)}: use a smaller model, or one whose weights are ` +
        "stored in 16 bits or fewer, or raise the option memoryBudget of the engine"
}
