/** The JSON form of tensors: arrays of numbers are checked once and copied into typed arrays. */
import * as Schema from "effect/Schema"
import { Invalid } from "../effect/parseError.ts"
import * as typedArrays from "./typedArrays.ts"
import type { Encoded, Tensor } from "./types.ts"

const isOptionalArray = (u: object, key: string): boolean => {
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
  isOptionalArray(u, "shape") &&
  isOptionalArray(u, "sparse_crow_indices") &&
  isOptionalArray(u, "sparse_col_indices")

const integers = { type: "array", items: { type: "integer" } }

/** What JSON Schemas say of a tensor. @internal */
export const jsonSchema: object = {
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

/** The JSON form, checked for its fields but not for its numbers. @internal */
export const EncodedFromSelf: Schema.Schema<Encoded> = Schema.declare(isEncoded, {
  identifier: "TensorDataEncoded",
  description: '{ data: number[], dtype: "float32" | "int64", shape?: number[] }, or sparse with two index arrays',
  jsonSchema
})

const decodeData = ({ data, dtype }: Encoded): Pick<Tensor, "data" | "dtype"> | string => {
  switch (dtype) {
    case "float32": {
      const floats = typedArrays.toFloats(data)
      return typeof floats === "number" ? `data[${floats}] is not a number` : { dtype, data: floats }
    }
    case "int64": {
      const integers = typedArrays.toIntegers(data)
      return typeof integers === "number"
        ? `data[${integers}] is not an integer that a number can hold exactly`
        : { dtype, data: integers }
    }
    default:
      return `dtype ${JSON.stringify(dtype)} is not one of float32, int64`
  }
}

/** @internal */
export const decode = (encoded: Encoded): Tensor | Invalid => {
  const shape = encoded.shape ?? undefined
  const crow = typedArrays.toInt32(encoded.sparse_crow_indices ?? [])
  if (typeof crow === "number") return new Invalid(`sparse_crow_indices[${crow}] is not a 32-bit integer`, encoded)
  const col = typedArrays.toInt32(encoded.sparse_col_indices ?? [])
  if (typeof col === "number") return new Invalid(`sparse_col_indices[${col}] is not a 32-bit integer`, encoded)
  const values = decodeData(encoded)
  if (typeof values === "string") return new Invalid(values, encoded)
  return {
    ...values,
    ...(shape === undefined ? {} : { shape }),
    ...(encoded.sparse_crow_indices ? { sparse_crow_indices: crow } : {}),
    ...(encoded.sparse_col_indices ? { sparse_col_indices: col } : {})
  } as Tensor
}

/** @internal */
export const encode = (tensor: Tensor): Encoded | Invalid => {
  const { data, dtype, shape, sparse_col_indices, sparse_crow_indices } = tensor
  const unsafe = data instanceof BigInt64Array ? typedArrays.unsafeIndex(data) : -1
  if (unsafe >= 0) return new Invalid(`data[${unsafe}] is too large for a JSON number`, tensor)
  return {
    data: Array.from(data as ArrayLike<number | bigint>, Number),
    dtype,
    ...(shape === undefined ? {} : { shape }),
    ...(sparse_crow_indices === undefined || sparse_col_indices === undefined
      ? {}
      : {
          sparse_crow_indices: Array.from(sparse_crow_indices),
          sparse_col_indices: Array.from(sparse_col_indices)
        })
  }
}
