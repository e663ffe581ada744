/** Builds a file or a directory beside its place, and moves it there in one step once it is complete. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { FileProblem } from "../model/files.ts"

const unwritable = (path: string) => (cause: unknown) =>
  cause instanceof FileProblem ? cause : new FileProblem(path, "cannot be written", cause)

const checkFree = (out: string, replace: boolean) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (!replace && (yield* fs.exists(out))) {
      return yield* Effect.fail(new FileProblem(out, "exists already: choose another place, or replace it"))
    }
  })

/** Moves what was built to its place. What was there before goes last, or is put back. */
const move = (from: string, out: string, old: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const exists = yield* fs.exists(out)
    if (exists) yield* fs.rename(out, old)
    yield* fs.rename(from, out).pipe(Effect.tapError(() => (exists ? Effect.ignore(fs.rename(old, out)) : Effect.void)))
  }).pipe(Effect.uninterruptible)

/**
 * Lets `build` write to a path beside `out`. If it fails or is interrupted, nothing is left behind, and what was at `out` is
 * still there.
 *
 * @internal
 */
export const build = <A, E, R>(
  out: string,
  replace: boolean,
  build: (target: string) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | FileProblem, R | FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { basename, dirname, join } = yield* Path.Path
    const prepare = Effect.gen(function* () {
      yield* checkFree(out, replace)
      yield* fs.makeDirectory(dirname(out), { recursive: true })
      return yield* fs.makeTempDirectoryScoped({ directory: dirname(out), prefix: `.${basename(out)}.part-` })
    })
    const work = yield* Effect.mapError(prepare, unwritable(out))
    const target = join(work, "new")
    const result = yield* build(target)
    yield* Effect.mapError(
      Effect.andThen(checkFree(out, replace), move(target, out, join(work, "old"))),
      unwritable(out)
    )
    return result
  }).pipe(Effect.scoped)
