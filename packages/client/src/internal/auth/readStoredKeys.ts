/** Reads the file of stored keys, and warns where others can read it. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { platform } from "#platform"
import { invalid } from "./credential.ts"
import { decode, type StoredKeys } from "./storedKeys.ts"

const maxBytes = 1024 * 1024

/** The directory that holds a file, without the Path service, which a program need not have. */
const directoryOf = (file: string): string => file.replace(/[\\/][^\\/]*$/, "") || "/"

const isWritableByOthers = (mode: number): boolean => (mode & 0o022) !== 0 && (mode & 0o1000) === 0

/** Warns of permissions that let other users read or replace the keys. */
const warnOfPermissions = (fs: FileSystem.FileSystem, file: string, mode: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    // Windows has no modes
    if (platform.os === "Windows") return
    if ((mode & 0o077) !== 0) {
      yield* Effect.logWarning(`${file} is open to other users of this machine: run chmod 600 ${file}`)
    }
    const directory = directoryOf(file)
    const info = yield* fs.stat(directory)
    if (isWritableByOthers(info.mode)) {
      yield* Effect.logWarning(
        `other users of this machine can replace files in ${directory}: run chmod 700 ${directory}`
      )
    }
    // the file was read: a warning that cannot be logged is no reason to fail
  }).pipe(Effect.catchAll((error) => Effect.logDebug(`the permissions of ${file} are unknown: ${error.message}`)))

/** The stored keys; none where there is no file. @internal */
export const read = (file: string): Effect.Effect<StoredKeys, TinkerError.InvalidInput, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const found = yield* Effect.gen(function* () {
      const { mode, size } = yield* fs.stat(file)
      if (size > maxBytes) return yield* invalid(file, "is too large to hold stored keys: move it away")
      return { mode, text: yield* fs.readFileString(file) }
    }).pipe(
      Effect.catchTags({
        SystemError: (error) =>
          error.reason === "NotFound"
            ? Effect.succeed(undefined)
            : Effect.fail(invalid(file, `cannot be read: ${error.message}`)),
        BadArgument: (error) => Effect.fail(invalid(file, `cannot be read: ${error.message}`))
      })
    )
    if (found === undefined) return { version: 1, keys: {} } as const
    yield* warnOfPermissions(fs, file, found.mode)
    return yield* decode(file, found.text)
  })
