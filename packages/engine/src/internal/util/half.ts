/** Numbers in half precision. */

/** The value of a half-precision number by its bits. @internal */
export const halfValue = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** The values of all half-precision numbers, by their bits; made when they are first needed. */
let table: Float32Array | undefined

/** The values of all half-precision numbers, by their bits. @internal */
export const halfTable = (): Float32Array =>
  (table ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => halfValue(bits)))

const single = new Float32Array(1)
const singleBits = new Uint32Array(single.buffer)

/** Drops so many of the lowest bits, and rounds to nearest, ties to even. */
const roundOff = (value: number, bits: number): number => {
  const kept = value >>> bits
  const rest = value & ((1 << bits) - 1)
  const half = 1 << (bits - 1)
  return kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0)
}

/** The bits of the half-precision number that is nearest; what is too large becomes infinite. @internal */
export const halfBits = (value: number): number => {
  single[0] = value
  const bits = singleBits[0]!
  const sign = (bits >>> 16) & 0x8000
  const exponent = ((bits >>> 23) & 255) - 112
  const fraction = bits & 0x7fffff
  if (exponent === 143) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200)
  if (exponent >= 31) return sign | 0x7c00
  // a fraction that is rounded up to 1 carries into the exponent, which is right
  if (exponent > 0) return sign | ((exponent << 10) + roundOff(fraction, 13))
  return exponent < -10 ? sign : sign | roundOff(fraction | 0x800000, 14 - exponent)
}

/** The bits of the bfloat16 number that is nearest. @internal */
export const brainBits = (value: number): number => {
  single[0] = value
  const bits = singleBits[0]!
  return Number.isNaN(value) ? 0x7fc0 : roundOff(bits, 16) & 0xffff
}
