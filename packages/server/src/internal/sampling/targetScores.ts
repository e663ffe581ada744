/** Scores chosen token ids at the positions of a prompt (`target_prompt_logprobs`). */
import * as TensorData from "@effect-tinker/api/TensorData"

const skipped = -1

/** The row of each stored value of a tensor `[rows, K]`. */
const rowsOf = (tensor: TensorData.TensorData): Int32Array => {
  const rows = new Int32Array(tensor.data.length)
  if (!TensorData.isSparse(tensor)) {
    const columns = tensor.shape?.[1] ?? 1
    return rows.map((_, index) => Math.floor(index / columns))
  }
  const starts = tensor.sparse_crow_indices
  for (let row = 0; row + 1 < starts.length; row++) rows.fill(row, Number(starts[row]), Number(starts[row + 1]))
  return rows
}

/** @internal */
export const score = (
  targets: TensorData.TensorData,
  logprobOf: (position: number, token: number) => number
): TensorData.TensorData => {
  const rows = rowsOf(targets)
  const data = new Float32Array(rows.length)
  for (let i = 0; i < data.length; i++) {
    const token = Number(targets.data[i])
    if (token !== skipped) data[i] = logprobOf(rows[i]! + 1, token)
  }
  return { ...targets, dtype: "float32", data } as TensorData.TensorData
}

/** @internal */
export const problem = ({ data }: TensorData.TensorData, vocabularySize: number): string | undefined => {
  for (let i = 0; i < data.length; i++) {
    const token = Number(data[i])
    if (token !== skipped && !(token >= 0 && token < vocabularySize)) {
      return `target_prompt_logprobs[${i}] is ${token}, but the vocabulary has ${vocabularySize} tokens`
    }
  }
  return undefined
}
