/** Files on disk, written so that no reader and no power failure sees a part of one. */
import type * as PlatformError from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { type HubError, makeError, type Target } from "./model.ts"

/** Access to the disk. @internal */
export interface Disk {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
}

/** Turns an error of the disk into a `HubError`. @internal */
export const mapDiskError =
  (target: Target) =>
  <A, R>(effect: Effect.Effect<A, { readonly message: string }, R>): Effect.Effect<A, HubError, R> =>
    Effect.mapError(effect, (cause) => {
      const detail = `the cache at ${target.options.cache} cannot be used: ${cause.message}. Set HF_HUB_CACHE to another`
      return makeError(target, "Cache", detail, { cause })
    })

/** Whether a file exists and can be read. @internal */
export const exists = ({ fs }: Disk, file: string): Effect.Effect<boolean> =>
  Effect.orElseSucceed(fs.exists(file), () => false)

/** Flushes the entries of a directory. Windows cannot open one, and needs no flush. */
const syncDirectory = ({ fs }: Disk, directory: string): Effect.Effect<void> =>
  fs.open(directory, { flag: "r" }).pipe(
    Effect.flatMap((file) => file.sync),
    Effect.scoped,
    Effect.ignore
  )

/** An unused name beside a file. The name may be taken by a killed process with the same random numbers. @internal */
export const temporaryName = (disk: Disk, file: string): Effect.Effect<string> =>
  Effect.flatMap(Random.nextIntBetween(0, 2 ** 31), (suffix) => {
    const temporary = `${file}.${suffix.toString(36)}.incomplete`
    return Effect.flatMap(exists(disk, temporary), (isTaken) =>
      isTaken ? temporaryName(disk, file) : Effect.succeed(temporary)
    )
  })

/**
 * Creates a file under a temporary name, then moves it to its place. The temporary file is removed if that fails.
 *
 * @internal
 */
export const replace = <E>(
  disk: Disk,
  file: string,
  create: (temporary: string) => Effect.Effect<void, E>
): Effect.Effect<void, E | PlatformError.PlatformError> =>
  Effect.gen(function* () {
    const { fs, path } = disk
    const temporary = yield* temporaryName(disk, file)
    yield* fs.makeDirectory(path.dirname(file), { recursive: true })
    yield* Effect.flatMap(create(temporary), () => fs.rename(temporary, file)).pipe(
      Effect.onError(() => Effect.ignore(fs.remove(temporary, { force: true })))
    )
    yield* syncDirectory(disk, path.dirname(file))
  })

/** Writes a small file. @internal */
export const writeText = (disk: Disk, file: string, text: string): Effect.Effect<void, PlatformError.PlatformError> =>
  replace(disk, file, (temporary) =>
    Effect.scoped(
      Effect.gen(function* () {
        const handle = yield* disk.fs.open(temporary, { flag: "wx" })
        if (text !== "") yield* handle.writeAll(new TextEncoder().encode(text))
        yield* handle.sync
      })
    )
  )
