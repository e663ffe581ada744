/** Copies JSON arrays into typed arrays with checks. A result that is a number is the index of the first invalid value. */

/** `null` becomes `NaN`. @internal */
export const toFloats = (values: ArrayLike<unknown>): Float32Array | number => {
  const out = new Float32Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (typeof value === "number") out[i] = value
    else if (value === null) out[i] = Number.NaN
    else return i
  }
  return out
}

/** 32-bit integers. @internal */
export const toInt32 = (values: ArrayLike<unknown>): Int32Array | number => {
  const out = new Int32Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (typeof value !== "number" || (value | 0) !== value) return i
    out[i] = value
  }
  return out
}

/** Integers, as 32-bit ones if all of them fit. @internal */
export const toIntegers = (values: ArrayLike<unknown>): Int32Array | BigInt64Array | number => {
  const small = toInt32(values)
  if (typeof small !== "number") return small
  const out = new BigInt64Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (!Number.isSafeInteger(value)) return i
    out[i] = BigInt(value as number)
  }
  return out
}

/** The index of the first value that a JSON number cannot represent exactly, or -1. @internal */
export const unsafeIndex = (values: BigInt64Array): number =>
  values.findIndex((value) => value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER))
