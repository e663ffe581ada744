/** The cache on disk, laid out like that of the Python libraries: `blobs`, `snapshots` and `refs` per repository. */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { type HubError, makeError, type Snapshot, type Target } from "./model.ts"

/** Access to the disk. @internal */
export interface Disk {
  readonly fs: FileSystem.FileSystem
  readonly path: Path.Path
}

const isCommit = (revision: string) => /^[0-9a-f]{40}$/.test(revision)

const repositoryDirectory = ({ path }: Disk, { options, repo }: Target): string =>
  path.join(options.cache, `models--${repo.replaceAll("/", "--")}`)

/** @internal */
export const snapshotDirectory = (disk: Disk, target: Target, commit: string): string =>
  disk.path.join(repositoryDirectory(disk, target), "snapshots", commit)

/** Turns an error of the disk into a `HubError`. @internal */
export const mapDiskError =
  (target: Target) =>
  <A>(effect: Effect.Effect<A, { readonly message: string }>): Effect.Effect<A, HubError> =>
    Effect.mapError(effect, (cause) => {
      const detail = `the cache at ${target.options.cache} cannot be used: ${cause.message}. Set HF_HUB_CACHE to another`
      return makeError(target, "Cache", detail, { cause })
    })

/** The snapshot of the revision, if the cache contains all of it. @internal */
export const findSnapshot = (disk: Disk, target: Target): Effect.Effect<Option.Option<Snapshot>> =>
  Effect.gen(function* () {
    const { fs, path } = disk
    const refFile = path.join(repositoryDirectory(disk, target), "refs", target.revision)
    const commit = isCommit(target.revision)
      ? target.revision
      : (yield* Effect.orElseSucceed(fs.readFileString(refFile), () => "")).trim()
    if (!isCommit(commit)) return Option.none<Snapshot>()
    const directory = snapshotDirectory(disk, target, commit)
    // It is downloaded last, so the other files are there as well.
    const isComplete = yield* Effect.orElseSucceed(fs.exists(path.join(directory, "tokenizer.json")), () => false)
    return isComplete ? Option.some<Snapshot>({ commit, directory }) : Option.none<Snapshot>()
  })

/** Writes a file atomically, so that no reader sees a part of it. */
const writeFile = ({ fs, path }: Disk, file: string, bytes: Uint8Array) =>
  Effect.gen(function* () {
    const suffix = (yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)
    const temporary = `${file}.${suffix}.incomplete`
    yield* fs.makeDirectory(path.dirname(file), { recursive: true })
    yield* Effect.gen(function* () {
      yield* fs.writeFile(temporary, bytes)
      yield* fs.rename(temporary, file)
    }).pipe(Effect.onError(() => Effect.ignore(fs.remove(temporary, { force: true }))))
  })

/** Records the commit that the revision resolved to. @internal */
export const writeRef = (disk: Disk, target: Target, commit: string): Effect.Effect<void, HubError> => {
  const file = disk.path.join(repositoryDirectory(disk, target), "refs", target.revision)
  return mapDiskError(target)(writeFile(disk, file, new TextEncoder().encode(commit)))
}

/** Stores a blob under the name of its hash, and links `file` to it. @internal */
export const writeBlob = (
  disk: Disk,
  target: Target,
  options: { readonly hash: string; readonly bytes: Uint8Array; readonly file: string }
): Effect.Effect<void, HubError> => {
  const { fs, path } = disk
  const { bytes, file, hash } = options
  const blob = path.join(repositoryDirectory(disk, target), "blobs", hash)
  // Another process may have linked it already; some file systems have no links.
  const copyUnlessExists = Effect.flatMap(fs.exists(file), (exists) =>
    exists ? Effect.void : writeFile(disk, file, bytes)
  )
  return mapDiskError(target)(
    Effect.gen(function* () {
      if (!(yield* fs.exists(blob))) yield* writeFile(disk, blob, bytes)
      yield* fs.makeDirectory(path.dirname(file), { recursive: true })
      yield* fs
        .symlink(path.join("..", "..", "blobs", hash), file)
        .pipe(Effect.catchAll((error) => Effect.mapError(copyUnlessExists, () => error)))
    })
  )
}
