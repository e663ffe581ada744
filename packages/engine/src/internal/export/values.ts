/** Values as files have them, from float32. */
import { brainBits, halfBits } from "../util/half.ts"

/** How a file has values. @internal */
export type Format = "F32" | "F16" | "BF16" | "Q8_0"

/** Values in a block of Q8_0. @internal */
export const blockSize = 32

const bytesOfBlock = 34

/** How many bytes so many values take. @internal */
export const bytesOf = (format: Format, values: number): number => {
  if (format === "Q8_0") return (values / blockSize) * bytesOfBlock
  return values * (format === "F32" ? 4 : 2)
}

/** To the nearest integer; halves away from zero, as llama.cpp rounds. */
const round = (value: number): number => Math.sign(value) * Math.floor(Math.abs(value) + 0.5)

/** One block: its scale in half precision, then the values by the scale, in the arithmetic of llama.cpp. */
const writeBlock = (values: Float32Array, at: number, out: DataView, place: number): void => {
  let largest = 0
  for (let i = at; i < at + blockSize; i++) largest = Math.max(largest, Math.abs(values[i]!))
  const scale = Math.fround(largest / 127)
  const inverse = scale === 0 ? 0 : Math.fround(1 / scale)
  out.setUint16(place, halfBits(scale), true)
  for (let i = 0; i < blockSize; i++) out.setInt8(place + 2 + i, round(Math.fround(values[at + i]! * inverse)))
}

const inBlocks = (values: Float32Array): Uint8Array => {
  const out = new Uint8Array(bytesOf("Q8_0", values.length))
  const view = new DataView(out.buffer)
  for (let block = 0; block < values.length / blockSize; block++) {
    writeBlock(values, block * blockSize, view, block * bytesOfBlock)
  }
  return out
}

const inHalves = (values: Float32Array, bitsOf: (value: number) => number): Uint8Array => {
  const out = new Uint16Array(values.length)
  for (let i = 0; i < out.length; i++) out[i] = bitsOf(values[i]!)
  return new Uint8Array(out.buffer)
}

/** @internal */
export const encode = (values: Float32Array, format: Format): Uint8Array => {
  switch (format) {
    case "F32":
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    case "F16":
      return inHalves(values, halfBits)
    case "BF16":
      return inHalves(values, brainBits)
    case "Q8_0":
      return inBlocks(values)
  }
}

/** The largest value that a format holds. @internal */
export const largestOf = (format: Format): number => {
  if (format === "F16") return 65_504
  return format === "Q8_0" ? 65_504 * 127 : 3.3895e38
}
