/** The loss of a batch, from what the output of a pass has. */
import * as csr from "./csr.ts"
import type { Tensor } from "./types.ts"

type Tensors = { readonly [name: string]: Tensor }

/** The numbers of a tensor, with 0 in the cells that a sparse one leaves out. */
const numbersOf = ({ data, shape, sparse_col_indices, sparse_crow_indices }: Tensor): ArrayLike<number | bigint> =>
  sparse_crow_indices === undefined || sparse_col_indices === undefined || shape === undefined
    ? data
    : csr.toDense(data, shape, sparse_crow_indices, sparse_col_indices, 0)

/** The sum of the losses of all positions; `undefined` if some output has none. */
const ofElements = (outputs: ReadonlyArray<Tensors>): number | undefined => {
  let total = 0
  for (const { elementwise_loss } of outputs) {
    if (elementwise_loss === undefined) return undefined
    for (const loss of elementwise_loss.data) total += Number(loss)
  }
  return total
}

/** The cross-entropy: the weighted sum of the negated logprobs; `undefined` if they do not fit the weights. */
const ofLogprobs = (outputs: ReadonlyArray<Tensors>, inputs: ReadonlyArray<Tensors>): number | undefined => {
  let total = 0
  for (const [index, { logprobs }] of outputs.entries()) {
    const weights = inputs[index]!["weights"]
    const values = weights === undefined ? undefined : numbersOf(weights)
    if (logprobs === undefined || (values !== undefined && values.length !== logprobs.data.length)) return undefined
    for (let at = 0; at < logprobs.data.length; at++) {
      const weight = values === undefined ? 1 : Number(values[at])
      // a position without weight may have any logprob
      if (weight !== 0) total -= weight * Number(logprobs.data[at])
    }
  }
  return total
}

const finite = (value: number | undefined): number | undefined => (Number.isFinite(value) ? value : undefined)

/** Whether two sums may be of the same losses, computed in different precisions. */
const agree = (a: number, b: number): boolean => Math.abs(a - b) <= 0.01 * Math.abs(b) + 1e-6

/** The sum of the losses; `undefined` if there is nothing that it follows from. @internal */
export const lossSum = (
  output: {
    readonly loss_fn_outputs: ReadonlyArray<Tensors>
    readonly metrics: { readonly [name: string]: number }
  },
  inputs: ReadonlyArray<Tensors>,
  lossFn: string
): number | undefined => {
  const reported = finite(output.metrics["loss:sum"])
  const outputs = output.loss_fn_outputs
  if (outputs.length === 0 || outputs.length !== inputs.length) return reported
  const fromLogprobs = lossFn === "cross_entropy" ? finite(ofLogprobs(outputs, inputs)) : undefined
  if (reported === undefined) return finite(ofElements(outputs)) ?? fromLogprobs
  // some services report a mean that is multiplied by another number of tokens, or 0 for a pass without gradients
  return fromLogprobs === undefined || agree(reported, fromLogprobs) ? reported : fromLogprobs
}
