/** Weights of GGUF files in the blocks that the file has, which are read into float32 a matrix at a time. */
import type * as Gguf from "@effect-tinker/tokenizers/Gguf"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { PackedValues } from "../executors/packed.ts"
import * as architecture from "../model/architecture.ts"
import type { StoredWeight } from "../model/packedFiles.ts"
import { sizeOf } from "../util/shape.ts"
import { bytesOf, dequantize, type Format, formats } from "./dequantize.ts"
import { headsOf, readBytes, sourceOfRow, tensorName } from "./model.ts"

/** Values in the blocks of a format, whose rows are whole blocks. */
const blockValues = (format: Format, data: Uint8Array): PackedValues => {
  const at = (values: number) => (values / format.size) * format.bytes
  return {
    length: (data.length / format.bytes) * format.size,
    bytes: data.length,
    widenTo: (first, out) => format.read(data.subarray(at(first), at(first + out.length)), out),
    slice: (from, to) => blockValues(format, data.subarray(at(from), at(to)))
  }
}

/** The rows of a matrix, of so many bytes each, in another order. */
const reorderRows = (data: Uint8Array, width: number, sourceOf: (row: number) => number): Uint8Array => {
  const out = new Uint8Array(data.length)
  for (let row = 0; row < data.length / width; row++) {
    const from = sourceOf(row) * width
    out.set(data.subarray(from, from + width), row * width)
  }
  return out
}

/** Whether a weight stays in blocks: a matrix that takes less than in float32, and whose rows are whole blocks. */
const isPackable = (format: Format, shape: ReadonlyArray<number>): boolean =>
  shape.length > 1 && format.bytes < 4 * format.size && bytesOf(format, shape.at(-1)!) !== undefined

const toWeight = (
  format: Format,
  shape: ReadonlyArray<number>,
  bytes: Uint8Array,
  heads: number | undefined
): StoredWeight => {
  if (!isPackable(format, shape)) return { shape, data: dequantize(format, bytes, sizeOf(shape)) }
  const width = bytesOf(format, shape.at(-1)!)!
  const data = heads === undefined ? bytes : reorderRows(bytes, width, sourceOfRow(heads, shape[0]!))
  return { shape, packed: blockValues(format, data) }
}

/** A weight, its shape, where it is in the file, and how its rows are ordered there. */
const tensorsOf = (header: Gguf.Header, model: ModelConfig) => {
  const byName = new Map(header.tensors.map((info) => [info.name, info]))
  return architecture.expectedWeights(model).map(([weight, shape]) => {
    const { offset, type } = byName.get(tensorName(weight, model))!
    return { weight, shape, offset, format: formats.get(type)!, heads: headsOf(weight, model) }
  })
}

/**
 * How many bytes the weights take as the file has them; `undefined` if some could not stay so: rows that would have to be
 * reordered in float32. The header was parsed before.
 *
 * @internal
 */
export const packedBytes = (header: Gguf.Header, model: ModelConfig): number | undefined => {
  const tensors = tensorsOf(header, model)
  if (tensors.some(({ format, heads, shape }) => heads !== undefined && !isPackable(format, shape))) return undefined
  return tensors.reduce(
    (sum, { format, shape }) => sum + (isPackable(format, shape) ? bytesOf(format, sizeOf(shape))! : 4 * sizeOf(shape)),
    0
  )
}

/** Reads the weights as the file has them; `undefined` as above. @internal */
export const readPacked = (path: string, header: Gguf.Header, model: ModelConfig) =>
  Effect.gen(function* () {
    if (packedBytes(header, model) === undefined) return undefined
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.open(path)
    const weights: Record<string, StoredWeight> = {}
    for (const { format, heads, offset, shape, weight } of tensorsOf(header, model)) {
      const bytes = yield* readBytes(file, offset, bytesOf(format, sizeOf(shape))!)
      weights[weight] = toWeight(format, shape, bytes, heads)
    }
    return weights
  }).pipe(
    Effect.scoped,
    Effect.mapError((cause) => ({ path, reason: "cannot be read", cause }))
  )
