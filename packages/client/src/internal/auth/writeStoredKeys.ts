/** Replaces the file of stored keys: atomically, through symbolic links, readable by its owner only. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { encode, type StoredKeys } from "./storedKeys.ts"

// as many as Linux follows
const maxLinks = 40

const fileError = (path: string, reason: string, cause?: PlatformError.PlatformError) =>
  new TinkerError.FileError({ method: "Credentials", path, reason, ...(cause === undefined ? {} : { cause }) })

/** The file that a path leads to, which may not exist yet. */
const followLinks = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  let target = file
  for (let links = 0; links < maxLinks; links++) {
    // it fails if the path is not a link
    const link = yield* Effect.option(fs.readLink(target))
    if (link._tag === "None") return target
    target = path.resolve(path.dirname(target), link.value)
  }
  return yield* fileError(file, "is a symbolic link that leads nowhere: remove it")
})

const makePrivateDirectory = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  if (!(yield* fs.exists(directory))) {
    yield* fs.makeDirectory(directory, { recursive: true })
    yield* fs.chmod(directory, 0o700)
  }
})

/** Removes the permissions of other users. */
const tighten = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const { mode } = yield* fs.stat(directory)
  if ((mode & 0o022) === 0 || (mode & 0o1000) !== 0) return
  yield* Effect.catchAll(fs.chmod(directory, 0o700), (error) =>
    Effect.logWarning(`other users of this machine can replace files in ${directory}: ${error.message}`)
  )
})

const replace = Effect.fnUntraced(function* (file: string, keys: StoredKeys) {
  const fs = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  const target = yield* followLinks(file)
  yield* makePrivateDirectory(dirname(file))
  yield* makePrivateDirectory(dirname(target))
  yield* tighten(dirname(file))
  const draft = yield* fs.makeTempFileScoped({ directory: dirname(target), prefix: ".credentials-" })
  yield* fs.chmod(draft, 0o600)
  yield* fs.writeFileString(draft, encode(keys))
  yield* Effect.scoped(Effect.flatMap(fs.open(draft, { flag: "r+" }), (opened) => opened.sync))
  yield* fs.rename(draft, target)
})

/** @internal */
export const write = (
  file: string,
  keys: StoredKeys
): Effect.Effect<void, TinkerError.FileError, FileSystem.FileSystem | Path.Path> =>
  replace(file, keys).pipe(
    Effect.scoped,
    Effect.uninterruptible,
    Effect.mapError((cause) =>
      cause._tag === "FileError" ? cause : fileError(file, `cannot be written: ${cause.message}`, cause)
    )
  )
