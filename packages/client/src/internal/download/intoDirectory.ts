/** Builds a directory next to its destination, and moves it there in one step once it is complete. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { fileError } from "./fileErrors.ts"
import { findAbandoned, prefixOf, takeOver, writeOwner } from "./leftovers.ts"
import * as parts from "./parts.ts"

interface Destination {
  readonly method: string
  /** absolute */
  readonly directory: string
  /** replaces what is there */
  readonly replace: boolean
  /** what the directory is built from: a killed download of the same source is resumed */
  readonly source: string
}

/** Where a directory is built. @internal */
export interface Workplace {
  /** the new directory */
  readonly fresh: string
  /** a path for an archive */
  readonly archive: string
  readonly parts: parts.Parts
}

const checkDestination = ({
  directory,
  method,
  replace
}: Destination): Effect.Effect<void, TinkerError.TinkerError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const exists = yield* Effect.mapError(fs.exists(directory), fileError(method, directory))
    if (exists && !replace) {
      // nothing will resume them
      yield* Effect.forEach(yield* findAbandoned(directory), (left) =>
        Effect.ignore(fs.remove(left, { recursive: true }))
      )
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

/** A new directory to work in, with the remains of a killed process. It is removed when the scope closes. */
const makeWorkplace = ({ directory, method, source }: Destination) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { basename, dirname, join } = yield* Path.Path
    const parent = dirname(directory)
    yield* fs.makeDirectory(parent, { recursive: true })
    const work = yield* fs.makeTempDirectoryScoped({ directory: parent, prefix: prefixOf(basename(directory)) })
    yield* writeOwner(work)
    yield* takeOver(directory, work, source)
    const fresh = join(work, "new")
    yield* fs.makeDirectory(fresh, { recursive: true })
    const workplace = { fresh, archive: join(work, "archive"), parts: yield* parts.open(method, work, source) }
    return { workplace, backup: join(work, "old") }
  }).pipe(Effect.mapError(fileError(method, directory)))

/**
 * Lets `build` fill a new directory. If it fails or is interrupted, nothing is left behind. If the process is killed,
 * the next download of the same source into the same directory finds its files.
 *
 * @internal
 */
export const buildDirectory = <A, R>(
  destination: Destination,
  build: (workplace: Workplace) => Effect.Effect<A, TinkerError.TinkerError, R>
): Effect.Effect<A, TinkerError.TinkerError, R | FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    yield* checkDestination(destination)
    const { backup, workplace } = yield* makeWorkplace(destination)
    const result = yield* build(workplace)
    yield* checkDestination(destination)
    yield* moveToDestination(destination, workplace.fresh, backup)
    return result
  })
