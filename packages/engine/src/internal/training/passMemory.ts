/** How much memory a pass over a batch takes. */
import * as budget from "../model/budget.ts"
import * as memory from "../model/memory.ts"
import { nextPowerOfTwo } from "../util/shape.ts"

/** The size of a datum: its tokens, and the targets of each. */
interface Sequence {
  readonly tokens: number
  readonly targets: number
}

/** The values of the adapter, its gradients and its optimizer, per parameter. */
const valuesPerParameter = 5

const longestOf = (sequences: ReadonlyArray<Sequence>): number =>
  sequences.reduce((a, { tokens }) => Math.max(a, tokens), 1)

/** The values that the largest microbatch of a pass takes, with an adapter of so many parameters. @internal */
export const size = (
  model: budget.ModelMemory,
  parameters: number,
  sequences: ReadonlyArray<Sequence>,
  backward: boolean
): number => {
  const longest = longestOf(sequences)
  const targets = sequences.reduce((a, { targets }) => Math.max(a, targets), 1)
  const length = nextPowerOfTwo(longest)
  const rows = Math.min(nextPowerOfTwo(sequences.length), Math.max(1, Math.floor(model.maxTokensPerRun / length)))
  const sizeOf = (rows: number) =>
    memory.runSize(model, { rows, length, targets, backward, logits: rows * length }) + valuesPerParameter * parameters
  // many short rows may be computed in blocks, and one of them not
  return Math.max(sizeOf(1), sizeOf(rows))
}

/** Why the largest microbatch of a pass does not fit into the memory budget, or `undefined`. @internal */
export const problem = (
  model: budget.ModelMemory,
  parameters: number,
  sequences: ReadonlyArray<Sequence>,
  backward: boolean
): string | undefined => {
  const longest = longestOf(sequences)
  const targets = sequences.reduce((a, { targets }) => Math.max(a, targets), 1)
  const several = targets === 1 ? "" : ` with ${targets} targets at each`
  const values = size(model, parameters, sequences, backward)
  return budget.problem(model, values, `a sequence of ${longest} tokens${several}`, "train on shorter sequences")
}
