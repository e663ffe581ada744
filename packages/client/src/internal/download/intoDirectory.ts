/** Builds a directory next to its destination, and moves it there in one step once it is complete. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { fileError } from "./fileErrors.ts"

interface Destination {
  readonly method: string
  /** absolute */
  readonly directory: string
  /** replaces what is there */
  readonly replace: boolean
}

const checkDestination = ({
  directory,
  method,
  replace
}: Destination): Effect.Effect<void, TinkerError.TinkerError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const exists = yield* Effect.mapError(fs.exists(directory), fileError(method, directory))
    if (exists && !replace) {
      return yield* new TinkerError.FileError({
        method,
        path: directory,
        reason: "exists already: choose another directory, or replace it"
      })
    }
  })

/** Moves a directory to the destination. If that fails, what was there before is put back. */
const moveToDestination = (
  { directory, method }: Destination,
  from: string,
  backup: string
): Effect.Effect<void, TinkerError.TinkerError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const exists = yield* fs.exists(directory)
    if (exists) yield* fs.rename(directory, backup)
    yield* fs
      .rename(from, directory)
      .pipe(Effect.tapError(() => (exists ? Effect.ignore(fs.rename(backup, directory)) : Effect.void)))
  }).pipe(Effect.uninterruptible, Effect.mapError(fileError(method, directory)))

/**
 * Lets `build` fill a new directory, with a scratch path beside it. If it fails or is interrupted, nothing is left behind.
 *
 * @internal
 */
export const buildDirectory = <A, R>(
  destination: Destination,
  build: (fresh: string, scratch: string) => Effect.Effect<A, TinkerError.TinkerError, R>
): Effect.Effect<A, TinkerError.TinkerError, R | FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { basename, dirname, join } = yield* Path.Path
    const { directory, method } = destination
    const toFileError = fileError(method, directory)
    const parent = dirname(directory)
    yield* checkDestination(destination)
    yield* Effect.mapError(fs.makeDirectory(parent, { recursive: true }), toFileError)
    const work = yield* Effect.mapError(
      fs.makeTempDirectoryScoped({ directory: parent, prefix: `.${basename(directory)}.part-` }),
      toFileError
    )
    const fresh = join(work, "new")
    yield* Effect.mapError(fs.makeDirectory(fresh), toFileError)
    const result = yield* build(fresh, join(work, "archive"))
    yield* checkDestination(destination)
    yield* moveToDestination(destination, fresh, join(work, "old"))
    return result
  })
