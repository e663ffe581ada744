/** The contents of files in the cache: their hashes, their verification, and links to them. */
import type * as PlatformError from "@effect/platform/Error"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as hash from "#hash"
import { type Disk, exists, replace, temporaryName } from "./disk.ts"
import * as layout from "./layout.ts"
import type { Target } from "./model.ts"
import type { FileInfo } from "./repositoryInfo.ts"

/** Larger files are checked by their size alone when they are read. */
const largestHashed = 256 * 1024 * 1024

/** How old an abandoned temporary file is at least, in milliseconds. */
const abandonedAfter = 24 * 60 * 60 * 1000

/** The two names of a blob: its git id, or the SHA-256 of a large file. @internal */
export type Kind = "git" | "sha256"

/** @internal */
export const kindOf = (name: string | undefined): Kind | undefined => {
  if (name === undefined) return undefined
  if (/^[0-9a-f]{40}$/.test(name)) return "git"
  return /^[0-9a-f]{64}$/.test(name) ? "sha256" : undefined
}

/** The hash of a file, read in parts. @internal */
export const hashFile = (
  { fs }: Disk,
  file: string,
  kind: Kind,
  size: number
): Effect.Effect<string, PlatformError.PlatformError> =>
  Effect.suspend(() => {
    const state = hash.make(kind === "git" ? "sha1" : "sha256")
    if (kind === "git") state.update(new TextEncoder().encode(`blob ${size}\0`))
    const update = (bytes: Uint8Array) => Effect.sync(() => state.update(bytes))
    return Effect.map(Stream.runForEach(fs.stream(file, { chunkSize: 256 * 1024 }), update), () => state.digest())
  })

/** The size of a file in bytes. @internal */
export const sizeOf = ({ fs }: Disk, file: string): Effect.Effect<number, PlatformError.PlatformError> =>
  Effect.map(fs.stat(file), ({ size }) => Number(size))

/** The hash in the name of the blob that a file of a snapshot links to. */
const linkedHash = ({ fs, path }: Disk, file: string): Effect.Effect<string | undefined> =>
  Effect.orElseSucceed(
    Effect.map(fs.readLink(file), (link) => path.basename(link)),
    () => undefined
  )

/**
 * Whether a file has the size that was announced, and the hash that was announced or that its blob is named by. Unknown
 * sizes and hashes are not checked.
 *
 * @internal
 */
export const isIntact = (
  disk: Disk,
  file: string,
  announced: FileInfo | undefined
): Effect.Effect<boolean, PlatformError.PlatformError> =>
  Effect.gen(function* () {
    const size = yield* sizeOf(disk, file)
    if (announced?.size !== undefined && announced.size !== size) return false
    const expected = announced?.hash ?? (yield* linkedHash(disk, file))
    const kind = kindOf(expected)
    return kind === undefined || size > largestHashed || (yield* hashFile(disk, file, kind, size)) === expected
  })

/** Whether the cache holds the announced content already, from another commit or through another library. @internal */
export const holds = (disk: Disk, target: Target, { hash, size }: FileInfo): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    if (hash === undefined) return false
    const blob = disk.path.join(layout.blobDirectory(disk, target), hash)
    return (yield* exists(disk, blob)) && (yield* isIntact(disk, blob, { hash, size }))
  }).pipe(Effect.orElseSucceed(() => false))

/** Links a file of a snapshot to its blob, or copies it where file systems have no links. @internal */
export const link = (
  disk: Disk,
  target: Target,
  blob: string,
  file: string
): Effect.Effect<void, PlatformError.PlatformError> => {
  const { fs, path } = disk
  const content = path.join(layout.blobDirectory(disk, target), blob)
  // files of data sets stand in directories of the snapshot
  const relative = path.relative(path.dirname(file), content)
  return replace(disk, file, (temporary) =>
    Effect.catchAll(fs.symlink(relative, temporary), () => fs.copyFile(content, temporary))
  )
}

/** A file whose size and hash are known, so that parts of it can be put together. @internal */
export interface Known {
  readonly size: number
  readonly hash: string
}

/** Smaller files are downloaded again, in bytes. */
const smallest = 2 ** 20

/** Whether parts of a file are kept. @internal */
export const isResumable = (info: FileInfo): info is Known =>
  info.hash !== undefined && info.size !== undefined && info.size >= smallest

/** From when on no process writes to a part any more, in milliseconds: each gives up after half of it without a byte. */
const idleAfter = 60_000

/**
 * The name of the temporary file of a download: of a part that another process left, or a new one. A part is taken over by
 * its new name, so that no two processes get the same one.
 *
 * @internal
 */
export const claim = (disk: Disk, directory: string, { hash, size }: Known): Effect.Effect<string> =>
  Effect.gen(function* () {
    const { fs, path } = disk
    const own = yield* temporaryName(disk, path.join(directory, hash))
    const now = yield* Clock.currentTimeMillis
    const names = yield* Effect.orElseSucceed(fs.readDirectory(directory), () => [])
    const isOurs = new RegExp(`^${hash}\\.[0-9a-z]+\\.incomplete$`)
    for (const name of names.filter((name) => isOurs.test(name))) {
      const file = path.join(directory, name)
      const info = yield* Effect.option(fs.stat(file))
      const isLeft = Option.exists(
        info,
        ({ mtime, size: bytes }) =>
          Number(bytes) < size && Option.exists(mtime, (time) => now - time.getTime() > idleAfter)
      )
      if (isLeft && Option.isSome(yield* Effect.option(fs.rename(file, own)))) return own
    }
    return own
  })

/** How many bytes of a file have arrived. @internal */
export const arrived = (disk: Disk, temporary: string, { size }: Known): Effect.Effect<number> =>
  Effect.map(
    Effect.orElseSucceed(sizeOf(disk, temporary), () => 0),
    (bytes) => (bytes < size ? bytes : 0)
  )

/** Removes temporary files of killed processes that are at least a day old. @internal */
export const removeAbandoned = (disk: Disk, target: Target): Effect.Effect<void> => {
  const { fs, path } = disk
  const directory = layout.blobDirectory(disk, target)
  const removeIfOld = (name: string, now: number) =>
    Effect.flatMap(fs.stat(path.join(directory, name)), ({ mtime }) =>
      Option.exists(mtime, (time) => now - time.getTime() > abandonedAfter)
        ? fs.remove(path.join(directory, name), { force: true })
        : Effect.void
    )
  return Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const names = (yield* fs.readDirectory(directory)).filter((name) => name.endsWith(".incomplete"))
    yield* Effect.forEach(names, (name) => Effect.ignore(removeIfOld(name, now)), { discard: true })
  }).pipe(Effect.ignore)
}
