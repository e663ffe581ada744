/** Reads ranges of a file. The only part of a file in memory is the one that was asked for. */
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { makeMutex } from "../effect/mutex.ts"
import { DatasetError } from "./datasetError.ts"

/** A file that stays open until the scope ends. @internal */
export interface FileBytes {
  /** what errors call the file */
  readonly path: string
  /** in bytes */
  readonly size: number
  /** when the file was last written, in milliseconds since the epoch; 0 if unknown */
  readonly modified: number
  /** Exactly the bytes of the range. It fails if the file has become shorter. */
  readonly read: (offset: number, length: number) => Effect.Effect<Uint8Array, DatasetError>
}

/** @internal */
export const unreadable = (path: string, cause: PlatformError.PlatformError): DatasetError => {
  const reason =
    cause._tag === "SystemError" && cause.reason === "NotFound"
      ? "does not exist"
      : cause._tag === "SystemError" && cause.reason === "PermissionDenied"
        ? "cannot be read: permission denied"
        : "cannot be read"
  return new DatasetError({ path, reason, cause })
}

const readRange = (
  file: FileSystem.File,
  path: string,
  offset: number,
  length: number
): Effect.Effect<Uint8Array, DatasetError> =>
  Effect.gen(function* () {
    const bytes = new Uint8Array(length)
    yield* file.seek(FileSystem.Size(offset), "start")
    for (let filled = 0; filled < length;) {
      const count = Number(yield* file.read(bytes.subarray(filled)))
      if (count === 0) return yield* new DatasetError({ path, reason: "has become shorter while it was read" })
      filled += count
    }
    return bytes
  }).pipe(Effect.catchTags({ BadArgument: failUnreadable(path), SystemError: failUnreadable(path) }))

const failUnreadable = (path: string) => (cause: PlatformError.PlatformError) => Effect.fail(unreadable(path, cause))

/** Opens a regular file. `name` is what errors call it. @internal */
export const open = (
  path: string,
  name: string = path
): Effect.Effect<FileBytes, DatasetError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.open(path, { flag: "r" })
    const { mtime, size } = yield* file.stat
    // seek and read are two calls, and the position of the file is one
    const alone = yield* makeMutex
    return {
      path: name,
      size: Number(size),
      modified: Option.match(mtime, { onNone: () => 0, onSome: (time) => time.getTime() }),
      read: (offset: number, length: number) => alone(readRange(file, name, offset, length))
    }
  }).pipe(Effect.catchTags({ BadArgument: failUnreadable(name), SystemError: failUnreadable(name) }))
