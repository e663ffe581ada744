/** Checks that files are complete by what they contain: safetensors files by their header. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { fileError } from "./fileErrors.ts"
import { listFiles } from "./unpack.ts"

const maxHeaderSize = 100 * 2 ** 20

/** The header of a safetensors file. */
const Header = Schema.Record({
  key: Schema.String,
  value: Schema.Struct({
    dtype: Schema.optional(Schema.String),
    shape: Schema.optional(Schema.Array(Schema.NonNegativeInt)),
    data_offsets: Schema.optional(Schema.Tuple(Schema.NonNegativeInt, Schema.NonNegativeInt))
  })
})
const decodeHeader = Schema.decodeUnknown(Schema.parseJson(Header))

type Problem = Effect.Effect<string | undefined, PlatformError.PlatformError>

const readExactly = (file: FileSystem.File, bytes: Uint8Array): Effect.Effect<boolean, PlatformError.PlatformError> =>
  Effect.gen(function* () {
    let filled = 0
    while (filled < bytes.length) {
      const count = Number(yield* file.read(bytes.subarray(filled)))
      if (count === 0) return false
      filled += count
    }
    return true
  })

/** What is wrong with a safetensors file: it must have exactly the bytes that its header announces. */
const safeTensorsProblem = (fs: FileSystem.FileSystem, path: string): Problem =>
  Effect.gen(function* () {
    const file = yield* fs.open(path)
    const size = Number((yield* file.stat).size)
    const prefix = new Uint8Array(8)
    if (!(yield* readExactly(file, prefix))) return `has ${size} bytes, which is no safetensors file`
    const length = Number(new DataView(prefix.buffer).getBigUint64(0, true))
    if (length > maxHeaderSize || 8 + length > size) return "is cut off or damaged: its header does not fit into it"
    const bytes = new Uint8Array(length)
    if (!(yield* readExactly(file, bytes))) return "is cut off in its header"
    const header = yield* Effect.orElseSucceed(decodeHeader(new TextDecoder().decode(bytes)), () => undefined)
    if (header === undefined) return "is damaged: its header is not that of a safetensors file"
    const tensors = Object.entries(header).filter(([name]) => name !== "__metadata__")
    if (tensors.length === 0) return "has no tensors"
    const end = Math.max(...tensors.map(([, { data_offsets }]) => data_offsets?.[1] ?? Number.POSITIVE_INFINITY))
    const expected = 8 + length + end
    return expected === size
      ? undefined
      : `is cut off or damaged: it has ${size} bytes, and its header says ${expected}`
  }).pipe(Effect.scoped)

/** Checks all files below a directory. `shown` is the directory that errors name. @internal */
export const checkContainers = (
  method: string,
  directory: string,
  shown: string
): Effect.Effect<void, TinkerError.TinkerError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    for (const { name } of yield* Effect.mapError(listFiles(directory), fileError(method, shown))) {
      if (!name.endsWith(".safetensors")) continue
      const problem = yield* Effect.mapError(safeTensorsProblem(fs, join(directory, name)), fileError(method, name))
      if (problem !== undefined) {
        return yield* new TinkerError.FileError({
          method,
          path: join(shown, name),
          reason: `${problem}. Nothing was kept: download it again, or save the checkpoint again if that does not help`
        })
      }
    }
  })
