/** Converts F32, F16 and BF16 values to `Float32Array`. */

/** @internal */
export type Dtype = "F32" | "F16" | "BF16"

/** @internal */
export const bytesPerValue: { readonly [dtype in Dtype]: number } = { F32: 4, F16: 2, BF16: 2 }

/** @internal */
export const isDtype = (u: unknown): u is Dtype => typeof u === "string" && Object.hasOwn(bytesPerValue, u)

const fromHalf = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const fromF32 = (bytes: Uint8Array): Float32Array =>
  bytes.byteOffset % 4 === 0
    ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    : // a `Buffer` of Node shares its memory with its slices
      new Float32Array(new Uint8Array(bytes).buffer)

const fromF16 = ({ buffer, byteLength, byteOffset }: Uint8Array): Float32Array => {
  const view = new DataView(buffer, byteOffset, byteLength)
  const out = new Float32Array(byteLength / 2)
  for (let i = 0; i < out.length; i++) out[i] = fromHalf(view.getUint16(i * 2, true))
  return out
}

const fromBf16 = ({ buffer, byteLength, byteOffset }: Uint8Array): Float32Array => {
  const view = new DataView(buffer, byteOffset, byteLength)
  const out = new Float32Array(byteLength / 2)
  // a BF16 number is the upper half of an F32 number
  const bits = new Uint32Array(out.buffer)
  for (let i = 0; i < bits.length; i++) bits[i] = view.getUint16(i * 2, true) << 16
  return out
}

/** Little-endian values. F32 values share the memory of `bytes` if they are aligned. @internal */
export const toFloat32 = (bytes: Uint8Array, dtype: Dtype): Float32Array => {
  switch (dtype) {
    case "F32":
      return fromF32(bytes)
    case "F16":
      return fromF16(bytes)
    case "BF16":
      return fromBf16(bytes)
  }
}
