/** A checkpoint store in a directory: saves are atomic and durable, and reads verify checksums. Its records name what is in it. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Store from "../../Store.ts"
import { makeMutex } from "../effect/runtime.ts"
import { sha256 } from "../util/sha256.ts"
import * as adapterFiles from "./adapterFiles.ts"
import * as modes from "./disk/modes.ts"
import * as replacing from "./disk/replacing.ts"
import * as directories from "./directories.ts"
import * as infos from "./info.ts"
import * as layout from "./layout.ts"
import * as model from "./model.ts"
import * as recovery from "./recovery.ts"
import { type Context, toStoreError, withReservation } from "./reservations.ts"
import * as storedInfo from "./storedInfo.ts"
import * as uploadFiles from "./uploadFiles.ts"

type Root = directories.Root

// how often expired checkpoints are looked for
const sweepInterval = 60 * 60 * 1000

/** The record of a checkpoint, expired or not. */
const getRow = ({ records }: Context, path: TinkerPath.TinkerPath) => {
  const text = TinkerPath.format(path)
  return Effect.mapError(records.checkpoints.get({ path: text }), toStoreError(text))
}

/** Looks up a checkpoint that has not expired. */
const find = (context: Context, path: TinkerPath.TinkerPath) =>
  Effect.map(
    Effect.flatMap(getRow(context, path), (row) => infos.orNotFound(path, row)),
    ({ info }) => info
  )

/** Writes the files of a checkpoint into an empty directory. */
const writeFiles = Effect.fnUntraced(function* (
  root: Root,
  directory: string,
  options: model.SaveOptions,
  info: model.Info
) {
  const checksums: Record<string, storedInfo.Checksums[string]> = {}
  for (const [name, content] of adapterFiles.encode(options.adapter, options.optimizer)) {
    yield* directories.writeFile(root, root.join(directory, name), content)
    checksums[name] = { size_bytes: content.length, sha256: yield* sha256(content) }
  }
  yield* directories.writeFile(root, root.join(directory, layout.infoFile), storedInfo.encode(info, checksums))
  yield* directories.syncDirectory(root, directory)
})

/** Writes a checkpoint to a temporary directory, and moves it to `directory`. */
const writeCheckpoint = Effect.fnUntraced(function* (
  root: Root,
  directory: string,
  options: model.SaveOptions,
  info: model.Info
) {
  const { fs, join } = root
  const replaces = yield* fs.exists(directory)
  yield* directories.makeDirectory(root, join(directory, ".."))
  const temporary = yield* directories.temporaryDirectory(root)
  const written = join(temporary, "new")
  yield* fs.makeDirectory(written, { mode: directories.privateDirectory })
  yield* writeFiles(root, written, options, info)
  const replaced = replaces ? join(temporary, layout.replacedDirectory) : undefined
  yield* directories.moveInPlace(root, written, directory, replaced)
}, Effect.scoped)

const save = Effect.fnUntraced(function* (
  context: Context,
  options: model.SaveOptions,
  now: number
): Effect.fn.Return<model.Info, model.CheckpointExists | model.CheckpointStoreError> {
  const { records, root } = context
  const directory = storedInfo.directoryOf(root, options.path)
  if (directory === undefined) {
    const path = TinkerPath.format(options.path)
    return yield* new model.CheckpointStoreError({ path, reason: "is not a valid checkpoint path" })
  }
  const info = yield* infos.make(options, now)
  return yield* withReservation(
    context,
    { path: options.path, action: "save", revision: infos.revisionOf(info) },
    Effect.fnUntraced(function* (path) {
      const existing = yield* getRow(context, options.path)
      if (options.overwrite !== true && existing !== undefined && infos.isLive(existing.info, now)) {
        return yield* new model.CheckpointExists({ path })
      }
      yield* Effect.mapError(writeCheckpoint(root, directory, options, info), storedInfo.toStoreError(options.path))
      yield* records.checkpoints.later.put(recovery.rowOf(info))
      return info
    })
  )
})

const update = Effect.fnUntraced(function* (context: Context, path: TinkerPath.TinkerPath, change: model.Change) {
  const { records, root } = context
  const { revision = "" } = yield* find(context, path)
  return yield* withReservation(
    context,
    { path, action: "update", revision },
    Effect.fnUntraced(function* () {
      const changed = infos.change(yield* find(context, path), change)
      yield* Effect.mapError(writeInfo(root, path, changed), storedInfo.toStoreError(path))
      yield* records.checkpoints.later.put(recovery.rowOf(changed))
      return changed
    })
  )
})

/** Replaces the metadata in the directory of a checkpoint, which tells what it is without the records. */
const writeInfo = Effect.fnUntraced(function* (root: Root, path: TinkerPath.TinkerPath, info: model.Info) {
  const stored = yield* storedInfo.read(root, path)
  if (stored === undefined) return
  const temporary = yield* directories.temporaryDirectory(root)
  const file = root.join(temporary, layout.infoFile)
  yield* directories.writeFile(root, file, storedInfo.encode(info, stored.checksums))
  yield* Effect.uninterruptible(root.fs.rename(file, root.join(stored.directory, layout.infoFile)))
  yield* directories.syncDirectory(root, stored.directory)
}, Effect.scoped)

/** Reads a file of a checkpoint, and compares it with its checksum. */
const readVerified = Effect.fnUntraced(function* (
  root: Root,
  path: TinkerPath.TinkerPath,
  { checksums, directory }: storedInfo.Stored,
  name: string
) {
  const bytes = yield* Effect.mapError(root.fs.readFile(root.join(directory, name)), storedInfo.toStoreError(path))
  const expected = checksums?.[name]
  if (expected === undefined) return bytes
  if (expected.size_bytes !== bytes.length || expected.sha256 !== (yield* sha256(bytes))) {
    const reason = `${name} is damaged: it does not match its checksum`
    return yield* new model.CheckpointStoreError({ path: TinkerPath.format(path), reason })
  }
  return bytes
})

const readCheckpoint = Effect.fnUntraced(function* (root: Root, path: TinkerPath.TinkerPath, info: model.Info) {
  const stored = yield* storedInfo.read(root, path)
  if (stored === undefined) {
    return yield* new model.CheckpointStoreError({ path: TinkerPath.format(path), reason: "its files are not there" })
  }
  const adapter = yield* readVerified(root, path, stored, layout.adapterFile)
  const optimizer =
    info.optimizer_step === undefined ? undefined : yield* readVerified(root, path, stored, layout.optimizerFile)
  const decoded = yield* Effect.mapError(adapterFiles.decode(info, adapter, optimizer), storedInfo.toStoreError(path))
  return { info, ...decoded, revision: infos.revisionOf(stored.info) }
})

/** Reads a checkpoint. While another process replaces it, its files and its record differ for a moment. */
const load = (
  context: Context,
  path: TinkerPath.TinkerPath,
  attempts = replacing.attempts
): Effect.Effect<model.Checkpoint, model.CheckpointNotFound | model.CheckpointStoreError> =>
  Effect.gen(function* () {
    const info = yield* find(context, path)
    const read = yield* Effect.either(readCheckpoint(context.root, path, info))
    if (read._tag === "Right" && (read.right.revision === infos.revisionOf(info) || attempts === 0)) {
      const { adapter, optimizer } = read.right
      return { info, adapter, optimizer }
    }
    const text = TinkerPath.format(path)
    const changing = yield* Effect.mapError(context.records.reservations.get({ path: text }), toStoreError(text))
    const now = yield* find(context, path)
    const isStable = changing === undefined && infos.revisionOf(now) === infos.revisionOf(info)
    if (read._tag === "Left" && (isStable || attempts === 0)) return yield* read.left
    yield* Effect.sleep(replacing.pause)
    return yield* load(context, path, attempts - 1)
  })

const remove = (context: Context, path: TinkerPath.TinkerPath) =>
  Effect.flatMap(find(context, path), (info) => removeIfSame(context, path, info))

/**
 * Removes a checkpoint, expired or not. If it was replaced since `info` was read, such as by another process, the new one
 * stays: it was saved after this removal.
 */
const removeIfSame = (context: Context, path: TinkerPath.TinkerPath, info: model.Info) =>
  withReservation(
    context,
    { path, action: "remove", revision: info.revision ?? "" },
    Effect.fnUntraced(function* (text) {
      const { records, root } = context
      const directory = storedInfo.directoryOf(root, path)
      const row = yield* getRow(context, path)
      if (row === undefined || directory === undefined) return yield* new model.CheckpointNotFound({ path: text })
      if (infos.revisionOf(row.info) !== infos.revisionOf(info)) return
      yield* Effect.mapError(records.checkpoints.remove({ path: text }), toStoreError(text))
      if (yield* Effect.orElseSucceed(root.fs.exists(directory), () => true)) {
        yield* Effect.mapError(directories.removeDirectory(root, directory), storedInfo.toStoreError(path))
      }
    })
  )

const removeExpired = (context: Context, now: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { records } = context
    const expired = yield* records.checkpoints.list({ range: { column: "expires_at", from: 0, to: now + 1 } })
    for (const { info } of expired) yield* removeIfSame(context, info, info)
  }).pipe(Effect.catchAll((error) => Effect.logWarning("expired checkpoints cannot be removed", error)))

const list = ({ records, root }: Context): Effect.Effect<ReadonlyArray<model.Info>, model.CheckpointStoreError> =>
  Effect.gen(function* () {
    const rows = yield* Effect.mapError(records.checkpoints.list(), toStoreError(root.directory))
    return infos.listLive(
      rows.map(({ info }) => info),
      yield* Clock.currentTimeMillis
    )
  })

const makePrivate = (root: Root): Effect.Effect<void> =>
  modes
    .makePrivate(root)
    .pipe(Effect.catchAll((error) => Effect.logWarning(`${root.directory} cannot be made private to this user`, error)))

/** @internal */
export const make = (directory: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const records = yield* Store.Store
    const context: Context = { root: { directory, fs, join, instance: records.instance }, records }
    // one change at a time
    const exclusively = yield* makeMutex
    let nextSweep = 0

    const sweepAndSave = Effect.fnUntraced(function* (options: model.SaveOptions) {
      const now = yield* Clock.currentTimeMillis
      if (now >= nextSweep) {
        nextSweep = now + sweepInterval
        yield* removeExpired(context, now)
      }
      return yield* save(context, options, now)
    })

    yield* recovery.recover(context.root, records)
    yield* makePrivate(context.root)
    return {
      save: (options: model.SaveOptions) => exclusively(sweepAndSave(options)),
      load: (path: TinkerPath.TinkerPath) => load(context, path),
      info: (path: TinkerPath.TinkerPath) => find(context, path),
      update: (path: TinkerPath.TinkerPath, change: model.Change) => exclusively(update(context, path, change)),
      remove: (path: TinkerPath.TinkerPath) => exclusively(remove(context, path)),
      list: list(context),
      uploads: uploadFiles.makeInDirectory(context.root)
    }
  })
