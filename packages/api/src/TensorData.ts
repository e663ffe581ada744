/**
 * Numeric payloads of the wire, held in typed arrays.
 *
 * On the wire a tensor is `{ data, dtype, shape? }` with flat, row-major data. Decoding checks the data once and copies
 * it into a typed array; it never goes through a schema of numbers, which would cost more than the JSON parser.
 *
 * @since 0.1.0
 */
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as numbers from "./internal/numbers.ts"

/**
 * A dense tensor. `int64` data is an `Int32Array` whenever every value fits, as token ids do, and a `BigInt64Array`
 * otherwise. Without a `shape` the tensor is one-dimensional.
 *
 * @since 0.1.0
 * @category models
 */
export type TensorData = FloatTensor | IntTensor

/**
 * @since 0.1.0
 * @category models
 */
export interface FloatTensor {
  readonly dtype: "float32"
  readonly data: Float32Array
  readonly shape?: ReadonlyArray<number> | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface IntTensor {
  readonly dtype: "int64"
  readonly data: Int32Array | BigInt64Array
  readonly shape?: ReadonlyArray<number> | undefined
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
 * The values as plain numbers, flat and row-major.
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

const shapeProblem = (shape: ReadonlyArray<number> | undefined, length: number): string | undefined => {
  if (shape === undefined) return undefined
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) return `shape [${shape.join(", ")}] has a bad dimension`
  }
  const size = sizeOfShape(shape)
  return size === length ? undefined : `shape [${shape.join(", ")}] holds ${size} values, but data has ${length}`
}

/**
 * A tensor in memory, checked for its shape.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TensorDataFromSelf: Schema.Schema<TensorData> = Schema.declare(isTensorData, {
  identifier: "TensorData",
  description: "a dense float32 or int64 tensor in a typed array"
}).pipe(Schema.filter((tensor) => shapeProblem(tensor.shape, tensor.data.length) ?? true))

const isEncoded = (u: unknown): u is Encoded =>
  typeof u === "object" &&
  u !== null &&
  "data" in u &&
  Array.isArray(u.data) &&
  "dtype" in u &&
  typeof u.dtype === "string" &&
  (!("shape" in u) ||
    u.shape === null ||
    u.shape === undefined ||
    (Array.isArray(u.shape) && u.shape.every((dimension) => typeof dimension === "number")))

const EncodedFromSelf: Schema.Schema<Encoded> = Schema.declare(isEncoded, {
  identifier: "TensorDataEncoded",
  description: '{ data: number[], dtype: "float32" | "int64", shape?: number[] }',
  jsonSchema: {
    type: "object",
    required: ["data", "dtype"],
    properties: {
      data: { type: "array", items: { type: "number" } },
      dtype: { enum: ["float32", "int64"] },
      shape: { type: "array", items: { type: "integer" } }
    }
  }
})

/**
 * The JSON form of a tensor. `null` decodes to `NaN` in float data, as JSON writers send `NaN` so; encoding writes it
 * back. Fails on another dtype, a value that is not a number, and a shape that does not fit.
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
      const fail = (message: string) => ParseResult.fail(new ParseResult.Type(ast, encoded, message))
      const shape = encoded.shape ?? undefined
      const problem = shapeProblem(shape, encoded.data.length)
      if (problem !== undefined) return fail(problem)
      const rest = shape === undefined ? {} : { shape }
      if (encoded.dtype === "float32") {
        const data = numbers.toFloats(encoded.data)
        return typeof data === "number"
          ? fail(`data[${data}] is not a number`)
          : ParseResult.succeed({ dtype: "float32", data, ...rest })
      }
      if (encoded.dtype === "int64") {
        const data = numbers.toIntegers(encoded.data)
        return typeof data === "number"
          ? fail(`data[${data}] is not an integer that a number can hold exactly`)
          : ParseResult.succeed({ dtype: "int64", data, ...rest })
      }
      return fail(`dtype ${JSON.stringify(encoded.dtype)} is not one of float32, int64`)
    },
    encode: (tensor) =>
      ParseResult.succeed({
        data: toNumbers(tensor),
        dtype: tensor.dtype,
        ...(tensor.shape === undefined ? {} : { shape: tensor.shape })
      })
  }
)
