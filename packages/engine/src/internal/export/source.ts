/** The weights of a base model on disk, some rows at a time: by their names and in the order of rows of Hugging Face. */
import type * as Gguf from "@effect-tinker/tokenizers/Gguf"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { halfValues, widen } from "../executors/packed.ts"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { ModelDirectory } from "../../ModelDirectory.ts"
import { bytesOf, dequantize, formats } from "../gguf/dequantize.ts"
import * as gguf from "../gguf/model.ts"
import { FileProblem, shardsOf } from "../model/files.ts"
import { readBytes, readHeader } from "../model/safetensorsHeader.ts"
import { sizeOf } from "../util/shape.ts"

/** How values are stored. @internal */
export type Dtype = "F32" | "F16" | "BF16"

/** @internal */
export interface Weight {
  readonly shape: ReadonlyArray<number>
  /** the closest dtype to that of the base model */
  readonly dtype: Dtype
  /** reads so many rows (values, of a vector); of matrices whose rows are in pairs in a GGUF file, whole heads */
  readonly read: (first: number, rows: number) => Effect.Effect<Float32Array, FileProblem>
}

/** The weights of a base model. @internal */
export interface Source {
  readonly weights: ReadonlyMap<string, Weight>
  /** what the weights of norms lack to those of the engine */
  readonly normOffset: number
}

type Files = FileSystem.FileSystem | Path.Path | Scope.Scope

/** @internal */
export const bytesPerValue = { F32: 4, F16: 2, BF16: 2 } as const

const decodeEntry = Schema.decodeUnknownOption(
  Schema.Struct({
    dtype: Schema.Literal("F32", "F16", "BF16"),
    shape: Schema.Array(Schema.NonNegativeInt),
    data_offsets: Schema.Tuple(Schema.NonNegativeInt, Schema.NonNegativeInt)
  })
)

const toValues = (bytes: Uint8Array, dtype: Dtype): Float32Array => {
  if (dtype === "F32") return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  return widen(halfValues(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2), dtype))
}

const unreadable = (path: string) => (cause: unknown) =>
  cause instanceof FileProblem ? cause : new FileProblem(path, "cannot be read", cause)

/** The weights of one safetensors file; whatever is of another type is no weight. */
const ofShard = (path: string): Effect.Effect<ReadonlyArray<readonly [string, Weight]>, FileProblem, Files> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.open(path)
    const size = Number((yield* fs.stat(path)).size)
    const { entries, start } = yield* readHeader(path, file, size)
    return Object.entries(entries).flatMap(([name, raw]): ReadonlyArray<readonly [string, Weight]> => {
      const entry = Option.getOrUndefined(decodeEntry(raw))
      if (entry === undefined) return []
      const { data_offsets, dtype, shape } = entry
      const [begin, end] = data_offsets
      const width = sizeOf(shape.slice(1)) * bytesPerValue[dtype]
      if (end - begin !== sizeOf(shape) * bytesPerValue[dtype] || start + end > size) return []
      const read = (first: number, rows: number) =>
        readBytes(path, file, start + begin + first * width, rows * width).pipe(
          Effect.map((bytes) => toValues(bytes, dtype)),
          Effect.mapError(unreadable(path))
        )
      return [[name, { shape, dtype, read }]]
    })
  }).pipe(Effect.mapError(unreadable(path)))

const ofDirectory = (directory: string, config: ModelConfig): Effect.Effect<Source, FileProblem, Files> =>
  Effect.gen(function* () {
    const { join } = yield* Path.Path
    const shards = yield* Effect.forEach(yield* shardsOf(directory), (file) => ofShard(join(directory, file)))
    return { weights: new Map(shards.flat()), normOffset: config.norm_offset }
  })

const ggufDtypes: { readonly [format: string]: Dtype } = { F32: "F32", BF16: "BF16" }

const ofGguf = (
  path: string,
  header: Gguf.Header,
  config: ModelConfig,
  weights: ReadonlyArray<readonly [name: string, shape: ReadonlyArray<number>]>
): Effect.Effect<Source, FileProblem, Files> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* Effect.mapError(fs.open(path), unreadable(path))
    const byName = new Map(header.tensors.map((info) => [info.name, info]))
    const read = new Map(
      weights.map(([name, shape]): readonly [string, Weight] => {
        const { offset, type } = byName.get(gguf.tensorName(name, config))!
        const format = formats.get(type)!
        const columns = sizeOf(shape.slice(1))
        const heads = gguf.headsOf(name, config)
        const read = (first: number, rows: number) =>
          Effect.map(
            gguf.readBytes(file, offset + bytesOf(format, first * columns)!, bytesOf(format, rows * columns)!),
            (bytes) => {
              const values = dequantize(format, bytes, rows * columns)
              return heads === undefined
                ? values
                : gguf.reorder(values, columns, gguf.sourceOfRow(rows / config.head_dim, rows))
            }
          ).pipe(Effect.mapError(unreadable(path)))
        return [name, { shape, dtype: ggufDtypes[format.name] ?? "F16", read }]
      })
    )
    return { weights: read, normOffset: 0 }
  })

/** Opens the files of a base model until the scope closes. @internal */
export const open = (
  model: ModelDirectory,
  weights: ReadonlyArray<readonly [name: string, shape: ReadonlyArray<number>]>
): Effect.Effect<Source, FileProblem, Files> =>
  model.gguf === undefined
    ? ofDirectory(model.path, model.config)
    : ofGguf(model.path, model.gguf, model.config, weights)
