/**
 * Tensors: numeric data of the wire in typed arrays.
 *
 * On the wire a tensor is `{ data, dtype, shape? }` with flat, row-major data, or in compressed sparse rows with
 * `sparse_crow_indices` and `sparse_col_indices` as well. Decoding checks the data once and copies it into a typed
 * array; it never decodes number by number with a schema, which would cost more than the JSON parser.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as arbitraries from "./internal/arbitraries/tensors.ts"
import { transformOrInvalid } from "./internal/effect/parseError.ts"
import * as csr from "./internal/tensor/csr.ts"
import * as json from "./internal/tensor/json.ts"
import * as shapes from "./internal/tensor/shape.ts"
import * as typedArrays from "./internal/tensor/typedArrays.ts"
import type { Encoded, FloatTensor, IntTensor, SparseTensor, Values } from "./internal/tensor/types.ts"

export type { Encoded, FloatTensor, IntTensor, SparseIndices, SparseTensor, Values } from "./internal/tensor/types.ts"

/**
 * A tensor, dense or sparse. `int64` data is an `Int32Array` whenever every value fits, as token ids do, and a
 * `BigInt64Array` otherwise. A tensor without a `shape` is one-dimensional.
 *
 * @since 0.1.0
 * @category models
 */
export type TensorData = FloatTensor | IntTensor

/**
 * The number of elements that a shape holds.
 *
 * @since 0.1.0
 * @category getters
 */
export const sizeOfShape: (shape: ReadonlyArray<number>) => number = shapes.size

/**
 * The shape of a tensor; `[data.length]` for a tensor without one.
 *
 * @since 0.1.0
 * @category getters
 */
export const shapeOf = (self: TensorData): ReadonlyArray<number> => self.shape ?? [self.data.length]

/**
 * The size of the first dimension: for a loss input, the number of positions.
 *
 * @since 0.1.0
 * @category getters
 */
export const lengthOf = (self: TensorData): number => shapeOf(self)[0] ?? 0

/**
 * A `float32` tensor from numbers or from rows of numbers. A `Float32Array` is kept, not copied.
 *
 * @throws RangeError when the rows differ in length.
 * @since 0.1.0
 * @category constructors
 */
export const float32 = (values: Values): FloatTensor => {
  if (values instanceof Float32Array) return { dtype: "float32", data: values, shape: [values.length] }
  const { flat, shape } = shapes.flatten(values)
  return { dtype: "float32", data: Float32Array.from(flat), shape }
}

/**
 * An `int64` tensor from integers or from rows of integers. An `Int32Array` is kept, not copied.
 *
 * @throws RangeError when the rows differ in length or a value is not a safe integer.
 * @since 0.1.0
 * @category constructors
 */
export const int64 = (values: Values): IntTensor => {
  if (values instanceof Int32Array) return { dtype: "int64", data: values, shape: [values.length] }
  const { flat, shape } = shapes.flatten(values)
  const data = typedArrays.toIntegers(flat)
  if (typeof data === "number") {
    throw new RangeError(`value ${flat[data]} at index ${data} is not an integer that a number can hold exactly`)
  }
  return { dtype: "int64", data, shape }
}

/**
 * Whether the tensor is in compressed sparse rows.
 *
 * @since 0.1.0
 * @category guards
 */
export const isSparse = (self: TensorData): self is SparseTensor => self.sparse_crow_indices !== undefined

/**
 * The dense form of the tensor, with `pad` in every cell that has no value. A dense tensor is returned unchanged.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toDense = <T extends TensorData>(self: T, pad = 0): T => {
  if (!isSparse(self)) return self
  const { dtype, shape, sparse_col_indices, sparse_crow_indices } = self
  return {
    dtype,
    data: csr.toDense(self.data, shape, sparse_crow_indices, sparse_col_indices, pad),
    shape
  } as TensorData as T
}

/**
 * The sparse form of the tensor, by the rule of the wire: a dense tensor of shape `[R, C]` with `n` values other than
 * `pad` becomes sparse when `(R + 1) + 2n < R * C`, that is, when the sparse form holds fewer numbers. Every other tensor
 * is returned unchanged.
 *
 * @since 0.1.0
 * @category conversions
 */
export const sparsify = <T extends TensorData>(self: T, pad = 0): T => {
  if (isSparse(self) || self.shape?.length !== 2) return self
  const sparse = csr.fromDense(self.data, self.shape, pad)
  return sparse === undefined
    ? self
    : ({
        dtype: self.dtype,
        data: sparse.data,
        shape: self.shape,
        sparse_crow_indices: sparse.crow,
        sparse_col_indices: sparse.col
      } as TensorData as T)
}

/**
 * The stored values as plain numbers, flat and row-major.
 *
 * @since 0.1.0
 * @category getters
 */
export const toNumbers = (self: TensorData): Array<number> =>
  Array.from(self.data as ArrayLike<number | bigint>, Number)

/**
 * Whether a value has the fields of a tensor. The shape is not checked.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTensorData = (u: unknown): u is TensorData => {
  if (typeof u !== "object" || u === null || !("dtype" in u) || !("data" in u)) return false
  return u.dtype === "float32"
    ? u.data instanceof Float32Array
    : u.dtype === "int64" && (u.data instanceof Int32Array || u.data instanceof BigInt64Array)
}

/**
 * What is wrong with a tensor's shape or indices, as a phrase that follows the tensor's name; `undefined` if nothing is.
 *
 * @since 0.1.0
 * @category validation
 */
export const problem: (self: TensorData) => string | undefined = shapes.problem

/**
 * A tensor in memory, checked for its shape and indices.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TensorDataFromSelf: Schema.Schema<TensorData> = Schema.declare(isTensorData, {
  identifier: "TensorData",
  description: "a float32 or int64 tensor in a typed array, dense or in compressed sparse rows",
  jsonSchema: json.jsonSchema,
  arbitrary: arbitraries.tensor
}).pipe(Schema.filter((tensor) => problem(tensor) ?? true))

/**
 * The JSON form of a tensor. `null` decodes to `NaN` in float data, because JSON has no `NaN`; encoding writes it back.
 * Fails on another dtype, a value that is not a number, an integer that JSON cannot represent exactly, and a shape or
 * indices that do not fit.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TensorData: Schema.Schema<TensorData, Encoded> = transformOrInvalid(
  json.EncodedFromSelf,
  TensorDataFromSelf,
  { decode: json.decode, encode: json.encode }
)
