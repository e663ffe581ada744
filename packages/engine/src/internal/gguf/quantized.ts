/** Tensors of GGUF files that stay in few bits, in the form that products take them. */
import { quantizedBlock, type QuantizedMatrix } from "../onnx/quantized.ts"
import { dequantize, formats } from "./dequantize.ts"

/** The bytes of blocks of 32 values in the formats that are taken over exactly. */
const kept: { readonly [format: string]: { readonly bits: 4 | 8; readonly start: number; readonly hasMin: boolean } } =
  {
    Q8_0: { bits: 8, start: 2, hasMin: false },
    Q4_0: { bits: 4, start: 2, hasMin: false },
    Q4_1: { bits: 4, start: 4, hasMin: true }
  }

/** The formats of other blocks, whose values are rounded to 8 bits. */
const rounded = ["Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]

/** Two values a byte, value after value: in the file, a block has its first half in the lower halves of its bytes. */
const interleave = (data: Uint8Array, at: number, out: Uint8Array, place: number): void => {
  const valueAt = (i: number) => (i < 16 ? data[at + i]! & 15 : data[at + i - 16]! >> 4)
  for (let i = 0; i < quantizedBlock / 2; i++) out[place + i] = valueAt(2 * i) | (valueAt(2 * i + 1) << 4)
}

const roundBlock = (values: Float32Array, at: number, out: Uint8Array): number => {
  let largest = 0
  for (let i = at; i < at + quantizedBlock; i++) largest = Math.max(largest, Math.abs(values[i]!))
  const scale = largest / 127
  for (let i = at; i < at + quantizedBlock; i++) out[i] = 128 + (scale === 0 ? 0 : Math.round(values[i]! / scale))
  return scale
}

const roundAll = (values: Float32Array): Pick<QuantizedMatrix, "bits" | "values" | "scales"> => {
  const out = new Uint8Array(values.length)
  const scales = new Float32Array(values.length / quantizedBlock)
  for (let block = 0; block < scales.length; block++) scales[block] = roundBlock(values, block * quantizedBlock, out)
  return { bits: 8, values: out, scales }
}

/**
 * The matrix of a tensor by the number of its format, with its rows in the given order; `undefined` if it is in no format
 * of few bits, or is no matrix of whole blocks.
 *
 * @internal
 */
export const toMatrix = (
  type: number,
  shape: ReadonlyArray<number>,
  data: Uint8Array,
  sourceOf: (row: number) => number
): QuantizedMatrix | undefined => {
  const [rows, columns] = shape as [number, number]
  const format = formats.get(type)
  if (format === undefined || shape.length !== 2 || columns % quantizedBlock !== 0) return undefined
  const rowBytes = data.length / rows
  const ordered = new Uint8Array(data.length)
  for (let row = 0; row < rows; row++) {
    const from = sourceOf(row) * rowBytes
    ordered.set(data.subarray(from, from + rowBytes), row * rowBytes)
  }
  if (rounded.includes(format.name)) return { rows, columns, ...roundAll(dequantize(format, ordered, rows * columns)) }
  const known = kept[format.name]
  if (known === undefined) return undefined
  return { rows, columns, ...takeOver(ordered, format.bytes, known, (rows * columns) / quantizedBlock) }
}

const halfFormat = formats.get(1)!

/** Takes over the values and scales of blocks. */
const takeOver = (
  data: Uint8Array,
  blockBytes: number,
  { bits, hasMin, start }: (typeof kept)[string],
  blocks: number
): Omit<QuantizedMatrix, "rows" | "columns"> => {
  const width = (quantizedBlock * bits) / 8
  const values = new Uint8Array(blocks * width)
  const halves = new Uint8Array(2 * blocks)
  const halvesAt = (offset: number): Float32Array => {
    for (let block = 0; block < blocks; block++) {
      halves[2 * block] = data[block * blockBytes + offset]!
      halves[2 * block + 1] = data[block * blockBytes + offset + 1]!
    }
    return dequantize(halfFormat, halves, blocks)
  }
  for (let block = 0; block < blocks; block++) {
    const at = block * blockBytes + start
    if (bits === 4) interleave(data, at, values, block * width)
    // signed bytes become unsigned ones, whose zero is 128
    else for (let i = 0; i < width; i++) values[block * width + i] = data[at + i]! ^ 128
  }
  const scales = halvesAt(0)
  if (!hasMin) return { bits, values, scales }
  // around the middle of a block's range, rounded activations count half as much as from its minimum on
  return { bits, values, scales, middles: halvesAt(2).map((min, block) => min + 2 ** (bits - 1) * scales[block]!) }
}
