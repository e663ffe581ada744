/** Copies the files of a store that is in use, after its records were copied, and makes both agree. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Store from "../../../Store.ts"
import { sha256 } from "../../util/sha256.ts"
import * as directories from "../directories.ts"
import * as infos from "../info.ts"
import * as layout from "../layout.ts"
import * as model from "../model.ts"
import * as recovery from "../recovery.ts"
import * as replacing from "./replacing.ts"
import * as storedInfo from "../storedInfo.ts"
import * as uploadFiles from "../uploadFiles.ts"

/** What a copy holds. */
export interface Copied {
  readonly checkpoints: number
  /** size of their files in bytes */
  readonly bytes: number
}

interface Roots {
  readonly from: directories.Root
  readonly to: directories.Root
}

const none: Copied = { checkpoints: 0, bytes: 0 }

const add = (a: Copied, b: Copied): Copied => ({
  checkpoints: a.checkpoints + b.checkpoints,
  bytes: a.bytes + b.bytes
})

// a checkpoint that is not there for so long was removed
const absentAttempts = 5

/** Copies a file and syncs it; returns its size. A file that does not match its checksum is refused. */
const copyFile = Effect.fnUntraced(function* (
  { from, to }: Roots,
  path: TinkerPath.TinkerPath,
  { checksums, directory }: storedInfo.Stored,
  target: string,
  name: string
) {
  const content = yield* from.fs.readFile(from.join(directory, name))
  const expected = checksums?.[name]
  if (expected !== undefined && expected.sha256 !== (yield* sha256(content))) {
    const reason = `${name} is damaged: it does not match its checksum`
    return yield* new model.CheckpointStoreError({ path: TinkerPath.format(path), reason })
  }
  yield* directories.writeFile(to, to.join(target, name), content)
  return content.length
})

/** Copies a checkpoint as it is; nothing if it was removed. */
const copyOnce = Effect.fnUntraced(function* (roots: Roots, path: TinkerPath.TinkerPath) {
  const { from, to } = roots
  const stored = yield* storedInfo.read(from, path)
  const target = storedInfo.directoryOf(to, path)
  if (stored === undefined || target === undefined) return none
  yield* directories.makeDirectory(to, target)
  let bytes = 0
  for (const name of yield* directories.entries(from, stored.directory)) {
    if (name !== layout.infoFile) bytes += yield* copyFile(roots, path, stored, target, name)
  }
  const after = yield* storedInfo.read(from, path)
  if (after === undefined || infos.revisionOf(after.info) !== infos.revisionOf(stored.info)) {
    const reason = "was replaced meanwhile"
    return yield* new model.CheckpointStoreError({ path: TinkerPath.format(path), reason })
  }
  yield* directories.writeFile(to, to.join(target, layout.infoFile), storedInfo.encode(after.info, after.checksums))
  yield* directories.syncDirectory(to, target)
  return { checkpoints: 1, bytes }
})

/** Copies a checkpoint, again if it was replaced meanwhile, or is not there: a save that replaces it moves it away first. */
const copyCheckpoint = (
  roots: Roots,
  path: TinkerPath.TinkerPath,
  attempts = replacing.attempts
): Effect.Effect<Copied, model.CheckpointStoreError> =>
  copyOnce(roots, path).pipe(
    Effect.flatMap((copied) =>
      copied === none && attempts > replacing.attempts - absentAttempts
        ? Effect.flatMap(Effect.sleep(replacing.pause), () => copyCheckpoint(roots, path, attempts - 1))
        : Effect.succeed(copied)
    ),
    Effect.mapError(storedInfo.toStoreError(path)),
    Effect.catchAll((error) => {
      if (attempts === 0) return error
      const target = storedInfo.directoryOf(roots.to, path)!
      const clear = Effect.ignore(roots.to.fs.remove(target, { recursive: true, force: true }))
      return Effect.flatMap(Effect.delay(clear, replacing.pause), () => copyCheckpoint(roots, path, attempts - 1))
    })
  )

/** Names what is there, and nothing else: a checkpoint may have been replaced or removed after the records were copied. */
const agree = Effect.fnUntraced(function* (to: directories.Root, records: Store.Service) {
  for (const row of yield* records.checkpoints.list()) {
    const path = Option.getOrUndefined(TinkerPath.parse(row.path))
    const stored = path === undefined ? undefined : yield* storedInfo.read(to, path)
    if (stored === undefined) yield* records.checkpoints.remove({ path: row.path })
    else if (infos.revisionOf(stored.info) !== infos.revisionOf(row.info)) {
      yield* records.checkpoints.put(recovery.rowOf(stored.info))
    }
  }
  yield* recovery.recover(to, records)
})

const copyUploads = Effect.fnUntraced(function* ({ from, to }: Roots, records: Store.Service) {
  const [source, target] = [uploadFiles.makeInDirectory(from), uploadFiles.makeInDirectory(to)]
  for (const { id, limits } of yield* records.uploads.list()) {
    for (const file of Object.keys(limits)) {
      const content = yield* source.read(id, file)
      if (content !== undefined) yield* target.write(id, file, content)
    }
  }
})

/** The checkpoints that have files or a name; one that is replaced just now may have no files. */
const allPaths = Effect.fnUntraced(function* (from: directories.Root, records: Store.Service) {
  const paths = new Map<string, TinkerPath.TinkerPath>()
  for (const path of yield* storedInfo.paths(from)) paths.set(TinkerPath.format(path), path)
  for (const row of yield* records.checkpoints.list()) {
    const path = TinkerPath.parse(row.path)
    if (Option.isSome(path)) paths.set(row.path, path.value)
  }
  return paths.values()
})

/** Copies the files of the store in `from` to `to`, whose records are a copy that was made before. @internal */
export const copyFiles = (from: string, to: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const records = yield* Store.Store
    const rootOf = (directory: string): directories.Root => ({ directory, fs, join, instance: records.instance })
    const roots: Roots = { from: rootOf(from), to: rootOf(to) }
    let copied = none
    for (const path of yield* allPaths(roots.from, records)) copied = add(copied, yield* copyCheckpoint(roots, path))
    yield* copyUploads(roots, records)
    yield* agree(roots.to, records)
    return copied
  }).pipe(
    Effect.mapError((cause) =>
      cause._tag === "CheckpointStoreError"
        ? cause
        : new model.CheckpointStoreError({ path: from, reason: `cannot be copied: ${cause.message}`, cause })
    )
  )
