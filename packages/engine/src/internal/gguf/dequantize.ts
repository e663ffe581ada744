/** The formats of tensors in GGUF files, as float32. */
import { halfTable } from "../util/half.ts"

/** A format: blocks of `size` values in `bytes` bytes. `read` writes the values of whole blocks to `out`, and fills it. @internal */
export interface Format {
  readonly name: string
  readonly size: number
  readonly bytes: number
  readonly read: (data: Uint8Array, out: Float32Array) => void
}

// These loops run for every value of a model when it is loaded: they read bytes directly, and make no functions or objects.

/** Writes the values of the block at `at` to `out` from `place` on. */
type ReadBlock = (data: Uint8Array, at: number, out: Float32Array, place: number) => void

const blocks = (name: string, size: number, bytes: number, read: ReadBlock): Format => ({
  name,
  size,
  bytes,
  read: (data, out) => {
    for (let block = 0; block < out.length / size; block++) read(data, block * bytes, out, block * size)
  }
})

const halfAt = (data: Uint8Array, at: number): number => halfTable()[data[at]! | (data[at + 1]! << 8)]!

const int8 = (byte: number): number => (byte << 24) >> 24

/** The bytes as numbers of 16 bits. */
const shorts = (data: Uint8Array): Uint16Array => {
  const aligned = data.byteOffset % 2 === 0 ? data : data.slice()
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 1)
}

const readFloats: Format["read"] = (data, out) =>
  new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(data.subarray(0, out.byteLength))

const readHalves: Format["read"] = (data, out) => {
  const [bits, values] = [shorts(data), halfTable()]
  for (let i = 0; i < out.length; i++) out[i] = values[bits[i]!]!
}

/** A bfloat16 number is the upper half of a float32 number. */
const readBrains: Format["read"] = (data, out) => {
  const [bits, upper] = [shorts(data), new Uint32Array(out.buffer, out.byteOffset, out.length)]
  for (let i = 0; i < out.length; i++) upper[i] = bits[i]! << 16
}

/**
 * Blocks of 32 values `scale * (quant - zero) + min` of 4 bits: the low halves of 16 bytes, then the high ones. The fifth
 * bits, or 0, are in `high`.
 */
const nibbles = (
  data: Uint8Array,
  at: number,
  high: number,
  scale: number,
  zero: number,
  min: number,
  out: Float32Array,
  place: number
): void => {
  for (let j = 0; j < 16; j++) {
    const byte = data[at + j]!
    out[place + j] = scale * (((byte & 15) | (((high >>> j) & 1) << 4)) - zero) + min
    out[place + j + 16] = scale * (((byte >> 4) | (((high >>> (j + 16)) & 1) << 4)) - zero) + min
  }
}

/** The fifth bits of 32 values. */
const highBits = (data: Uint8Array, at: number): number =>
  data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24)

/** The 6-bit scale of a group of 32 values in a block of 256. */
const scaleOf = (data: Uint8Array, at: number, group: number): number =>
  group < 4 ? data[at + group]! & 63 : (data[at + group + 4]! & 15) | ((data[at + group - 4]! >> 6) << 4)

/** The 6-bit minimum of a group. */
const minOf = (data: Uint8Array, at: number, group: number): number =>
  group < 4 ? data[at + group + 4]! & 63 : (data[at + group + 4]! >> 4) | ((data[at + group]! >> 6) << 4)

/** Blocks of 256 values of 4 bits in groups of 32, with a fifth bit if `hasFifth`, in 32 bytes before them. */
const readGroups =
  (hasFifth: boolean): ReadBlock =>
  (data, at, out, place) => {
    const [d, dmin] = [halfAt(data, at), halfAt(data, at + 2)]
    const quants = hasFifth ? at + 48 : at + 16
    for (let group = 0; group < 8; group++) {
      const [scale, min] = [d * scaleOf(data, at + 4, group), dmin * minOf(data, at + 4, group)]
      const start = quants + (group >> 1) * 32
      const shift = group % 2 === 0 ? 0 : 4
      for (let l = 0; l < 32; l++) {
        const high = hasFifth ? ((data[at + 16 + l]! >> group) & 1) << 4 : 0
        out[place + group * 32 + l] = scale * (((data[start + l]! >> shift) & 15) | high) - min
      }
    }
  }

/** Blocks of 256 values of 6 bits: 4 bits of each in 128 bytes, 2 bits in 64, and a scale of 16 values each. */
const readSixBits: ReadBlock = (data, at, out, place) => {
  const d = halfAt(data, at + 208)
  for (let part = 0; part < 2; part++) {
    for (let l = 0; l < 32; l++) {
      const high = data[at + 128 + part * 32 + l]!
      for (let quarter = 0; quarter < 4; quarter++) {
        const byte = data[at + part * 64 + (quarter % 2) * 32 + l]!
        const low = quarter < 2 ? byte & 15 : byte >> 4
        const quant = (low | (((high >> (2 * quarter)) & 3) << 4)) - 32
        const scale = int8(data[at + 192 + part * 8 + (l >> 4) + 2 * quarter]!)
        out[place + part * 128 + quarter * 32 + l] = d * scale * quant
      }
    }
  }
}

const readBytes: ReadBlock = (data, at, out, place) => {
  const d = halfAt(data, at)
  for (let j = 0; j < 32; j++) out[place + j] = d * int8(data[at + 2 + j]!)
}

/** Blocks of 32 values of 4 bits, or of 5, with a minimum or around their middle. */
const readNibbles =
  (isFive: boolean, hasMin: boolean): ReadBlock =>
  (data, at, out, place) => {
    const d = halfAt(data, at)
    const zero = hasMin ? 0 : isFive ? 16 : 8
    // to add -0 keeps the sign of a zero
    const min = hasMin ? halfAt(data, at + 2) : -0
    const start = at + (hasMin ? 4 : 2)
    nibbles(data, isFive ? start + 4 : start, isFive ? highBits(data, start) : 0, d, zero, min, out, place)
  }

/** The formats by their numbers. @internal */
export const formats: ReadonlyMap<number, Format> = new Map<number, Format>([
  [0, { name: "F32", size: 1, bytes: 4, read: readFloats }],
  [1, { name: "F16", size: 1, bytes: 2, read: readHalves }],
  [30, { name: "BF16", size: 1, bytes: 2, read: readBrains }],
  [2, blocks("Q4_0", 32, 18, readNibbles(false, false))],
  [3, blocks("Q4_1", 32, 20, readNibbles(false, true))],
  [6, blocks("Q5_0", 32, 22, readNibbles(true, false))],
  [7, blocks("Q5_1", 32, 24, readNibbles(true, true))],
  [8, blocks("Q8_0", 32, 34, readBytes)],
  [12, blocks("Q4_K", 256, 144, readGroups(false))],
  [13, blocks("Q5_K", 256, 176, readGroups(true))],
  [14, blocks("Q6_K", 256, 210, readSixBits)]
])

/** How many bytes so many values take; `undefined` if they are no whole blocks. @internal */
export const bytesOf = ({ bytes, size }: Format, values: number): number | undefined =>
  values % size === 0 ? (values / size) * bytes : undefined

/** The values of a tensor. @internal */
export const dequantize = ({ read }: Format, data: Uint8Array, values: number): Float32Array => {
  const out = new Float32Array(values)
  read(data, out)
  return out
}
