/** Adds a LoRA adapter to the weights of a linear layer. */

/** The two matrices of a layer, row-major: A (rank, in) and B (out, rank). @internal */
export interface Pair {
  readonly a: Float32Array
  readonly b: Float32Array
  readonly rank: number
  readonly scaling: number
}

/** Adds `scaling * B A` to rows of the weight (out, in); `first` is the number of the first of them. @internal */
export const addTo = (rows: Float32Array, { a, b, rank, scaling }: Pair, first = 0): void => {
  const columns = a.length / rank
  for (let row = 0; row < rows.length / columns; row++) {
    const target = rows.subarray(row * columns, (row + 1) * columns)
    for (let r = 0; r < rank; r++) {
      const factor = scaling * b[(first + row) * rank + r]!
      if (factor === 0) continue
      const start = r * columns
      for (let i = 0; i < columns; i++) target[i] = target[i]! + factor * a[start + i]!
    }
  }
}
