/** Opens a file for reading anywhere in it: as it is, or decompressed. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { DatasetError } from "./datasetError.ts"
import { decompress, type Limits } from "./decompress.ts"
import * as fileBytes from "./fileBytes.ts"
import { kindOf } from "./kind.ts"

/** @internal */
export interface OpenedFile extends fileBytes.FileBytes {
  readonly kind: "text" | "parquet"
  readonly compression: "gzip" | "zstd" | undefined
}

/** A pipe cannot be read from anywhere in it. */
const checkType = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const { type } = yield* Effect.mapError(fs.stat(path), (cause) => fileBytes.unreadable(path, cause))
  if (type === "File") return
  const reason = type === "Directory" ? "is a directory: give the files in it" : "is no regular file: save it to one"
  return yield* new DatasetError({ path, reason })
})

/** Opens a file, and closes it with the scope. @internal */
export const openFile = Effect.fnUntraced(function* (path: string, limits: Limits) {
  yield* checkType(path)
  const raw = yield* fileBytes.open(path)
  const kind = kindOf(yield* raw.read(0, Math.min(raw.size, 8)))
  if (typeof kind === "object") return yield* new DatasetError({ path, reason: kind.refused })
  if (kind === "text" || kind === "parquet") return { ...raw, kind, compression: undefined } satisfies OpenedFile
  const file = yield* fileBytes.open(yield* decompress(path, kind, limits), path)
  const inner = kindOf(yield* file.read(0, Math.min(file.size, 8)))
  if (typeof inner === "object") return yield* new DatasetError({ path, reason: inner.refused })
  if (inner === "gzip" || inner === "zstd") {
    return yield* new DatasetError({ path, reason: "is compressed twice: decompress it once" })
  }
  return { ...file, kind: inner, compression: kind } satisfies OpenedFile
})
