/**
 * Numeric payloads of the wire, held in typed arrays.
 *
 * On the wire a tensor is `{ data, dtype, shape? }` with flat, row-major data, or in compressed sparse rows with
 * `sparse_crow_indices` and `sparse_col_indices` besides. Decoding checks the data once and copies it into a typed
 * array; it never goes through a schema of numbers, which would cost more than the JSON parser.
 *
 * @since 0.1.0
 */
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as arbitraries from "./internal/arbitraries.ts"
import * as csr from "./internal/csr.ts"
import * as numbers from "./internal/numbers.ts"

/**
 * A tensor, dense or sparse. `int64` data is an `Int32Array` whenever every value fits, as token ids do, and a
 * `BigInt64Array` otherwise. Without a `shape` the tensor is one-dimensional.
 *
 * @since 0.1.0
 * @category models
 */
export type TensorData = FloatTensor | IntTensor

/**
 * What makes a tensor of shape `[rows, columns]` sparse: `data` then holds the listed values alone, row by row.
 * `sparse_crow_indices` has `rows + 1` entries, and row `i` owns the values from entry `i` up to entry `i + 1`;
 * `sparse_col_indices` has the column of each value. What an unlisted cell stands for is up to the reader: 0 in a loss
 * input, no request at all in `target_prompt_logprobs`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SparseIndices {
  readonly sparse_crow_indices?: Int32Array | undefined
  readonly sparse_col_indices?: Int32Array | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface FloatTensor extends SparseIndices {
  readonly dtype: "float32"
  readonly data: Float32Array
  readonly shape?: ReadonlyArray<number> | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface IntTensor extends SparseIndices {
  readonly dtype: "int64"
  readonly data: Int32Array | BigInt64Array
  readonly shape?: ReadonlyArray<number> | undefined
}

/**
 * A tensor known to be sparse.
 *
 * @since 0.1.0
 * @category models
 */
export type SparseTensor = TensorData & {
  readonly shape: ReadonlyArray<number>
  readonly sparse_crow_indices: Int32Array
  readonly sparse_col_indices: Int32Array
}

/**
 * What a tensor looks like in a JSON body.
 *
 * @since 0.1.0
 * @category models
 */
export interface Encoded {
  readonly data: ReadonlyArray<number>
  readonly dtype: string
  readonly shape?: ReadonlyArray<number> | null | undefined
  readonly sparse_crow_indices?: ReadonlyArray<number> | null | undefined
  readonly sparse_col_indices?: ReadonlyArray<number> | null | undefined
}

/**
 * Values of one dimension, or rows of equal length.
 *
 * @since 0.1.0
 * @category models
 */
export type Values = ArrayLike<number> | ReadonlyArray<ArrayLike<number>>

/**
 * The number of elements that a shape holds.
 *
 * @since 0.1.0
 * @category getters
 */
export const sizeOfShape = (shape: ReadonlyArray<number>): number => {
  let size = 1
  for (const dimension of shape) size *= dimension
  return size
}

/**
 * The shape of a tensor; `[data.length]` where the tensor carries none.
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

const isRows = (values: Values): values is ReadonlyArray<ArrayLike<number>> =>
  values.length > 0 && typeof values[0] !== "number"

const flatten = (values: Values): { readonly flat: ArrayLike<number>; readonly shape: ReadonlyArray<number> } => {
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

/**
 * A `float32` tensor from numbers or from rows of numbers. A `Float32Array` is kept, not copied.
 *
 * @throws RangeError when the rows are ragged.
 * @since 0.1.0
 * @category constructors
 */
export const float32 = (values: Values): FloatTensor => {
  if (values instanceof Float32Array) return { dtype: "float32", data: values, shape: [values.length] }
  const { flat, shape } = flatten(values)
  return { dtype: "float32", data: Float32Array.from(flat), shape }
}

/**
 * An `int64` tensor from integers or from rows of integers. An `Int32Array` is kept, not copied.
 *
 * @throws RangeError when the rows are ragged or a value is not a safe integer.
 * @since 0.1.0
 * @category constructors
 */
export const int64 = (values: Values): IntTensor => {
  if (values instanceof Int32Array) return { dtype: "int64", data: values, shape: [values.length] }
  const { flat, shape } = flatten(values)
  const data = numbers.toIntegers(flat)
  if (typeof data === "number") {
    throw new RangeError(`value ${flat[data]} at index ${data} is not an integer that a number can hold exactly`)
  }
  return { dtype: "int64", data, shape }
}

/**
 * Whether the tensor lists the values of some cells only.
 *
 * @since 0.1.0
 * @category guards
 */
export const isSparse = (self: TensorData): self is SparseTensor => self.sparse_crow_indices !== undefined

/**
 * The same tensor with a value in every cell: a cell that is not listed gets `pad`. A dense tensor is returned as it is.
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
 * The automatic rule of the wire: a dense tensor of shape `[R, C]` with `n` values other than `pad` becomes sparse when
 * `(R + 1) + 2n < R * C`, that is, when the sparse form holds fewer numbers. Every other tensor is returned as it is.
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
 * What is wrong with a tensor's shape or indices, said of the tensor; `undefined` when nothing is.
 *
 * @since 0.1.0
 * @category validation
 */
export const problem = (self: TensorData): string | undefined => {
  const { data, shape, sparse_col_indices: col, sparse_crow_indices: crow } = self
  for (const dimension of shape ?? []) {
    if (!Number.isSafeInteger(dimension) || dimension < 0)
      return `has shape [${shape!.join(", ")}], with a bad dimension`
  }
  if (crow !== undefined && col !== undefined) return csr.problem(shape, data.length, crow, col)
  if (crow !== undefined || col !== undefined) return "has row pointers without column indices, or the reverse"
  if (shape === undefined || sizeOfShape(shape) === data.length) return undefined
  return `has shape [${shape.join(", ")}], but ${data.length} values`
}

/**
 * A tensor in memory, checked for its shape and indices.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TensorDataFromSelf: Schema.Schema<TensorData> = Schema.declare(isTensorData, {
  identifier: "TensorData",
  description: "a float32 or int64 tensor in a typed array, dense or in compressed sparse rows",
  arbitrary: arbitraries.tensor
}).pipe(Schema.filter((tensor) => problem(tensor) ?? true))

const optionalNumbers = (u: object, key: string): boolean => {
  const value = (u as Record<string, unknown>)[key]
  return value === undefined || value === null || Array.isArray(value)
}

const isEncoded = (u: unknown): u is Encoded =>
  typeof u === "object" &&
  u !== null &&
  "data" in u &&
  Array.isArray(u.data) &&
  "dtype" in u &&
  typeof u.dtype === "string" &&
  optionalNumbers(u, "shape") &&
  optionalNumbers(u, "sparse_crow_indices") &&
  optionalNumbers(u, "sparse_col_indices")

const integers = { type: "array", items: { type: "integer" } }

const EncodedFromSelf: Schema.Schema<Encoded> = Schema.declare(isEncoded, {
  identifier: "TensorDataEncoded",
  description: '{ data: number[], dtype: "float32" | "int64", shape?: number[] }, or sparse with two index arrays',
  jsonSchema: {
    type: "object",
    required: ["data", "dtype"],
    properties: {
      data: { type: "array", items: { type: "number" } },
      dtype: { enum: ["float32", "int64"] },
      shape: integers,
      sparse_crow_indices: integers,
      sparse_col_indices: integers
    }
  }
})

const decode = (encoded: Encoded): TensorData | string => {
  const shape = encoded.shape ?? undefined
  const crow = numbers.toInt32(encoded.sparse_crow_indices ?? [])
  if (typeof crow === "number") return `sparse_crow_indices[${crow}] is not a 32-bit integer`
  const col = numbers.toInt32(encoded.sparse_col_indices ?? [])
  if (typeof col === "number") return `sparse_col_indices[${col}] is not a 32-bit integer`
  const rest = {
    ...(shape === undefined ? {} : { shape }),
    ...(encoded.sparse_crow_indices ? { sparse_crow_indices: crow } : {}),
    ...(encoded.sparse_col_indices ? { sparse_col_indices: col } : {})
  }
  if (encoded.dtype === "float32") {
    const data = numbers.toFloats(encoded.data)
    return typeof data === "number" ? `data[${data}] is not a number` : { dtype: "float32", data, ...rest }
  }
  if (encoded.dtype === "int64") {
    const data = numbers.toIntegers(encoded.data)
    return typeof data === "number"
      ? `data[${data}] is not an integer that a number can hold exactly`
      : { dtype: "int64", data, ...rest }
  }
  return `dtype ${JSON.stringify(encoded.dtype)} is not one of float32, int64`
}

/**
 * The JSON form of a tensor. `null` decodes to `NaN` in float data, as JSON writers send `NaN` so; encoding writes it
 * back. Fails on another dtype, a value that is not a number, an integer that JSON cannot carry exactly, and a shape or
 * indices that do not fit.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TensorData: Schema.Schema<TensorData, Encoded> = Schema.transformOrFail(
  EncodedFromSelf,
  TensorDataFromSelf,
  {
    strict: true,
    decode: (encoded, _options, ast) => {
      const tensor = decode(encoded)
      return typeof tensor === "string"
        ? ParseResult.fail(new ParseResult.Type(ast, encoded, tensor))
        : ParseResult.succeed(tensor)
    },
    encode: (tensor, _options, ast) => {
      const unsafe = tensor.data instanceof BigInt64Array ? numbers.unsafeIndex(tensor.data) : -1
      return unsafe >= 0
        ? ParseResult.fail(new ParseResult.Type(ast, tensor, `data[${unsafe}] is too large for a JSON number`))
        : ParseResult.succeed({
            data: toNumbers(tensor),
            dtype: tensor.dtype,
            ...(tensor.shape === undefined ? {} : { shape: tensor.shape }),
            ...(isSparse(tensor)
              ? {
                  sparse_crow_indices: Array.from(tensor.sparse_crow_indices),
                  sparse_col_indices: Array.from(tensor.sparse_col_indices)
                }
              : {})
          })
    }
  }
)
