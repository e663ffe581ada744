/** Reads weights that a directory has in 16 bits as they are, one at a time. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ModelConfig } from "../../ModelConfig.ts"
import { halfValues, type PackedValues, widen } from "../executors/packed.ts"
import { isEqual, sizeOf } from "../util/shape.ts"
import * as architecture from "./architecture.ts"
import { FileProblem, shardsOf } from "./files.ts"
import { readBytes, readHeader } from "./safetensorsHeader.ts"

/** A weight: a matrix as its file has it, or one in float32. @internal */
export type StoredWeight = { readonly shape: ReadonlyArray<number> } & (
  | { readonly data: Float32Array }
  | { readonly packed: PackedValues }
)

const Entry = Schema.Struct({
  dtype: Schema.Literal("BF16", "F16"),
  shape: Schema.Array(Schema.NonNegativeInt),
  data_offsets: Schema.Tuple(Schema.NonNegativeInt, Schema.NonNegativeInt)
})
type Entry = typeof Entry.Type

const fits = ({ data_offsets: [begin, end], shape }: Entry, expected: ReadonlyArray<number>, bytes: number): boolean =>
  isEqual(shape, expected) && end - begin === 2 * sizeOf(shape) && end <= bytes

const toWeight = (entry: Entry, bytes: Uint8Array, offset: number): StoredWeight => {
  const packed = halfValues(new Uint16Array(bytes.buffer), entry.dtype)
  // vectors are small, and norms may be shifted
  return entry.shape.length > 1
    ? { shape: entry.shape, packed }
    : { shape: entry.shape, data: widen(packed).map((value) => value + offset) }
}

type Expected = ReadonlyMap<string, ReadonlyArray<number>>

/** Reads those weights of a file that are expected, or their names alone; `undefined` if one is not in 16 bits. */
const readFile = (path: string, config: ModelConfig, expected: Expected, withValues: boolean) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const size = Number((yield* fs.stat(path)).size)
    const file = yield* fs.open(path)
    const { entries, start } = yield* readHeader(path, file, size)
    const norms = new Set(architecture.norms(config).map(([name]) => name))
    const weights: Record<string, StoredWeight | undefined> = {}
    for (const [name, shape] of expected) {
      if (!Object.hasOwn(entries, name)) continue
      const entry = Schema.decodeUnknownOption(Entry)(entries[name])
      if (Option.isNone(entry) || !fits(entry.value, shape, size - start)) return undefined
      weights[name] = undefined
      if (!withValues) continue
      const [begin, end] = entry.value.data_offsets
      const bytes = yield* readBytes(path, file, start + begin, end - begin)
      weights[name] = toWeight(entry.value, bytes, norms.has(name) ? config.norm_offset : 0)
    }
    return weights
  }).pipe(
    Effect.scoped,
    Effect.mapError((cause) => (cause instanceof FileProblem ? cause : new FileProblem(path, "cannot be read", cause)))
  )

const readAll = (directory: string, config: ModelConfig, withValues: boolean) =>
  Effect.gen(function* () {
    const { join } = yield* Path.Path
    const expected = new Map(architecture.expectedWeights(config))
    const weights: Record<string, StoredWeight | undefined> = {}
    for (const file of yield* shardsOf(directory)) {
      const own = yield* readFile(join(directory, file), config, expected, withValues)
      if (own === undefined) return undefined
      Object.assign(weights, own)
    }
    return [...expected.keys()].every((name) => Object.hasOwn(weights, name)) ? weights : undefined
  })

/**
 * Reads the weights of a directory without widening them. Returns `undefined` if they are not all there in 16 bits: then
 * the reader of float32 says what is wrong, if anything is.
 *
 * @internal
 */
export const readHalfWeights = (directory: string, config: ModelConfig) =>
  Effect.map(
    readAll(directory, config, true),
    (weights) => weights as { readonly [name: string]: StoredWeight } | undefined
  )

/** Whether a directory has all its weights in 16 bits, by the headers of its files. @internal */
export const isInHalf = (directory: string, config: ModelConfig) =>
  Effect.map(readAll(directory, config, false), (weights) => weights !== undefined)
