/** Shapes of tensors: their size, and whether a tensor's data and indices fit its shape. */
import * as csr from "./csr.ts"
import type { Tensor, Values } from "./types.ts"

/** The number of elements that a shape holds. @internal */
export const size = (shape: ReadonlyArray<number>): number => {
  let product = 1
  for (const dimension of shape) product *= dimension
  return product
}

const isRows = (values: Values): values is ReadonlyArray<ArrayLike<number>> =>
  values.length > 0 && typeof values[0] !== "number"

/** The values in one flat array, row-major, with their shape. Throws a `RangeError` when rows differ in length. @internal */
export const flatten = (
  values: Values
): { readonly flat: ArrayLike<number>; readonly shape: ReadonlyArray<number> } => {
  if (!isRows(values)) return { flat: values, shape: [values.length] }
  const columns = values[0]!.length
  const flat = new Float64Array(values.length * columns)
  values.forEach((row, index) => {
    if (row.length !== columns) {
      throw new RangeError(`row ${index} has ${row.length} values, but row 0 has ${columns}: all rows must be equal`)
    }
    flat.set(row, index * columns)
  })
  return { flat, shape: [values.length, columns] }
}

/** What is wrong with a tensor's shape or indices, or `undefined`. @internal */
export const problem = (tensor: Tensor): string | undefined => {
  const { data, shape, sparse_col_indices: col, sparse_crow_indices: crow } = tensor
  for (const dimension of shape ?? []) {
    if (!Number.isSafeInteger(dimension) || dimension < 0)
      return `has shape [${shape!.join(", ")}], with a bad dimension`
  }
  if (crow !== undefined && col !== undefined) return csr.problem(shape, data.length, crow, col)
  if (crow !== undefined || col !== undefined) return "has row pointers without column indices, or the reverse"
  if (shape === undefined || size(shape) === data.length) return undefined
  return `has shape [${shape.join(", ")}], but ${data.length} values`
}
