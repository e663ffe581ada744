/** The formats of tensors in GGUF files, as float32. */
import { halfValue } from "../util/half.ts"

/** A format: blocks of `size` values in `bytes` bytes. `read` writes the values of the block at `at` to `out`. */
interface Format {
  readonly name: string
  readonly size: number
  readonly bytes: number
  readonly read: (data: DataView, at: number, out: Float32Array, place: number) => void
}

const bits = new Uint32Array(1)
const asFloat = new Float32Array(bits.buffer)

const brain = (value: number): number => {
  bits[0] = value << 16
  return asFloat[0]!
}

const halfAt = (data: DataView, at: number): number => halfValue(data.getUint16(at, true))

/** Blocks of 32 values of 4 bits: the low halves of 16 bytes, then the high ones. A fifth bit comes from `high`. */
const nibbles = (
  data: DataView,
  at: number,
  high: number,
  out: Float32Array,
  place: number,
  valueOf: (quant: number) => number
): void => {
  for (let j = 0; j < 16; j++) {
    const byte = data.getUint8(at + j)
    out[place + j] = valueOf((byte & 15) | (((high >>> j) & 1) << 4))
    out[place + j + 16] = valueOf((byte >> 4) | (((high >>> (j + 16)) & 1) << 4))
  }
}

/** The 6-bit scale and minimum of a group of 32 values in a block of 256. */
const scaleAndMin = (data: DataView, at: number, group: number): readonly [scale: number, min: number] => {
  const byte = (i: number) => data.getUint8(at + i)
  return group < 4
    ? [byte(group) & 63, byte(group + 4) & 63]
    : [(byte(group + 4) & 15) | ((byte(group - 4) >> 6) << 4), (byte(group + 4) >> 4) | ((byte(group) >> 6) << 4)]
}

/** Blocks of 256 values of 4 bits in groups of 32, with a fifth bit if `fifth` is where these are. */
const readGroups = (
  data: DataView,
  at: number,
  quants: number,
  fifth: number | undefined,
  out: Float32Array,
  place: number
): void => {
  const [d, dmin] = [halfAt(data, at), halfAt(data, at + 2)]
  for (let group = 0; group < 8; group++) {
    const [scale, min] = scaleAndMin(data, at + 4, group)
    const start = quants + (group >> 1) * 32
    for (let l = 0; l < 32; l++) {
      const byte = data.getUint8(start + l)
      const low = group % 2 === 0 ? byte & 15 : byte >> 4
      const high = fifth === undefined ? 0 : ((data.getUint8(fifth + l) >> group) & 1) << 4
      out[place + group * 32 + l] = d * scale * (low | high) - dmin * min
    }
  }
}

/** Blocks of 256 values of 6 bits: 4 bits of each in 128 bytes, 2 bits in 64, and a scale of 16 values each. */
const readSixBits = (data: DataView, at: number, out: Float32Array, place: number): void => {
  const d = halfAt(data, at + 208)
  for (let part = 0; part < 2; part++) {
    for (let l = 0; l < 32; l++) {
      const high = data.getUint8(at + 128 + part * 32 + l)
      for (let quarter = 0; quarter < 4; quarter++) {
        const byte = data.getUint8(at + part * 64 + (quarter % 2) * 32 + l)
        const low = quarter < 2 ? byte & 15 : byte >> 4
        const quant = (low | (((high >> (2 * quarter)) & 3) << 4)) - 32
        const scale = data.getInt8(at + 192 + part * 8 + (l >> 4) + 2 * quarter)
        out[place + part * 128 + quarter * 32 + l] = d * scale * quant
      }
    }
  }
}

const single = (name: string, bytes: number, valueAt: (data: DataView, at: number) => number): Format => ({
  name,
  size: 1,
  bytes,
  read: (data, at, out, place) => {
    out[place] = valueAt(data, at)
  }
})

/** The formats by their numbers. @internal */
export const formats: ReadonlyMap<number, Format> = new Map<number, Format>([
  [0, single("F32", 4, (data, at) => data.getFloat32(at, true))],
  [1, single("F16", 2, halfAt)],
  [30, single("BF16", 2, (data, at) => brain(data.getUint16(at, true)))],
  [
    2,
    {
      name: "Q4_0",
      size: 32,
      bytes: 18,
      read: (data, at, out, place) => {
        const d = halfAt(data, at)
        nibbles(data, at + 2, 0, out, place, (quant) => d * (quant - 8))
      }
    }
  ],
  [
    3,
    {
      name: "Q4_1",
      size: 32,
      bytes: 20,
      read: (data, at, out, place) => {
        const [d, min] = [halfAt(data, at), halfAt(data, at + 2)]
        nibbles(data, at + 4, 0, out, place, (quant) => d * quant + min)
      }
    }
  ],
  [
    6,
    {
      name: "Q5_0",
      size: 32,
      bytes: 22,
      read: (data, at, out, place) => {
        const d = halfAt(data, at)
        nibbles(data, at + 6, data.getUint32(at + 2, true), out, place, (quant) => d * (quant - 16))
      }
    }
  ],
  [
    7,
    {
      name: "Q5_1",
      size: 32,
      bytes: 24,
      read: (data, at, out, place) => {
        const [d, min] = [halfAt(data, at), halfAt(data, at + 2)]
        nibbles(data, at + 8, data.getUint32(at + 4, true), out, place, (quant) => d * quant + min)
      }
    }
  ],
  [
    8,
    {
      name: "Q8_0",
      size: 32,
      bytes: 34,
      read: (data, at, out, place) => {
        const d = halfAt(data, at)
        for (let j = 0; j < 32; j++) out[place + j] = d * data.getInt8(at + 2 + j)
      }
    }
  ],
  [
    12,
    {
      name: "Q4_K",
      size: 256,
      bytes: 144,
      read: (data, at, out, place) => readGroups(data, at, at + 16, undefined, out, place)
    }
  ],
  [
    13,
    {
      name: "Q5_K",
      size: 256,
      bytes: 176,
      read: (data, at, out, place) => readGroups(data, at, at + 48, at + 16, out, place)
    }
  ],
  [14, { name: "Q6_K", size: 256, bytes: 210, read: readSixBits }]
])

/** How many bytes so many values take; `undefined` if they are no whole blocks. @internal */
export const bytesOf = ({ bytes, size }: Format, values: number): number | undefined =>
  values % size === 0 ? (values / size) * bytes : undefined

/** The values of a tensor. @internal */
export const dequantize = ({ bytes, read, size }: Format, data: Uint8Array, values: number): Float32Array => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const out = new Float32Array(values)
  for (let block = 0; block < values / size; block++) read(view, block * bytes, out, block * size)
  return out
}
