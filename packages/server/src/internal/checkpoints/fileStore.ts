/** A checkpoint store in a directory: saves are atomic and durable, and reads verify checksums. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { makeMutex } from "../effect/runtime.ts"
import { sha256 } from "../util/sha256.ts"
import * as adapterFiles from "./adapterFiles.ts"
import * as directories from "./directories.ts"
import * as infos from "./info.ts"
import * as layout from "./layout.ts"
import * as model from "./model.ts"
import * as recovery from "./recovery.ts"
import * as storedInfo from "./storedInfo.ts"

type Root = directories.Root

// how often expired checkpoints are looked for
const sweepInterval = 60 * 60 * 1000

/** Looks up a checkpoint that has not expired. */
const find = (root: Root, path: TinkerPath.TinkerPath) =>
  Effect.flatMap(storedInfo.read(root, path), (stored) => infos.orNotFound(path, stored))

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
  yield* fs.makeDirectory(join(directory, ".."), { recursive: true, mode: directories.privateDirectory })
  const temporary = yield* directories.temporaryDirectory(root)
  const written = join(temporary, "new")
  yield* fs.makeDirectory(written, { mode: directories.privateDirectory })
  yield* writeFiles(root, written, options, info)
  const replaced = replaces ? join(temporary, layout.replacedDirectory) : undefined
  yield* directories.moveInPlace(root, written, directory, replaced)
}, Effect.scoped)

const save = Effect.fnUntraced(function* (
  root: Root,
  options: model.SaveOptions,
  now: number
): Effect.fn.Return<model.Info, model.CheckpointExists | model.CheckpointStoreError> {
  const path = TinkerPath.format(options.path)
  const directory = storedInfo.directoryOf(root, options.path)
  if (directory === undefined) {
    return yield* new model.CheckpointStoreError({ path, reason: "is not a valid checkpoint path" })
  }
  const existing = yield* storedInfo.read(root, options.path)
  if (options.overwrite !== true && existing !== undefined && infos.isLive(existing.info, now)) {
    return yield* new model.CheckpointExists({ path })
  }
  const info = yield* infos.make(options, now)
  yield* Effect.mapError(writeCheckpoint(root, directory, options, info), storedInfo.toStoreError(options.path))
  return info
})

const update = Effect.fnUntraced(function* (root: Root, path: TinkerPath.TinkerPath, change: model.Change) {
  const { checksums, directory, info } = yield* find(root, path)
  const changed = infos.change(info, change)
  yield* Effect.gen(function* () {
    const temporary = yield* directories.temporaryDirectory(root)
    const file = root.join(temporary, layout.infoFile)
    yield* directories.writeFile(root, file, storedInfo.encode(changed, checksums))
    yield* Effect.uninterruptible(root.fs.rename(file, root.join(directory, layout.infoFile)))
    yield* directories.syncDirectory(root, directory)
  }).pipe(Effect.scoped, Effect.mapError(storedInfo.toStoreError(path)))
  return changed
})

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

const load = Effect.fnUntraced(function* (root: Root, path: TinkerPath.TinkerPath) {
  const stored = yield* find(root, path)
  const { info } = stored
  const adapter = yield* readVerified(root, path, stored, layout.adapterFile)
  const optimizer =
    info.optimizer_step === undefined ? undefined : yield* readVerified(root, path, stored, layout.optimizerFile)
  const decoded = yield* Effect.mapError(adapterFiles.decode(info, adapter, optimizer), storedInfo.toStoreError(path))
  return { info, ...decoded }
})

const remove = (root: Root, path: TinkerPath.TinkerPath) =>
  Effect.flatMap(find(root, path), ({ directory }) =>
    Effect.mapError(directories.removeDirectory(root, directory), storedInfo.toStoreError(path))
  )

const list = (root: Root): Effect.Effect<ReadonlyArray<model.Info>, model.CheckpointStoreError> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    return infos.listLive(yield* storedInfo.readAll(root), now)
  }).pipe(
    Effect.mapError((cause) => new model.CheckpointStoreError({ path: root.directory, reason: cause.message, cause }))
  )

/** @internal */
export const make = (directory: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const root: Root = { directory, fs, join }
    // one change at a time
    const exclusively = yield* makeMutex
    let nextSweep = 0

    const sweepAndSave = Effect.fnUntraced(function* (options: model.SaveOptions) {
      const now = yield* Clock.currentTimeMillis
      if (now >= nextSweep) {
        nextSweep = now + sweepInterval
        yield* recovery.removeExpired(root, now)
      }
      return yield* save(root, options, now)
    })

    yield* recovery.recover(root)
    return {
      save: (options: model.SaveOptions) => exclusively(sweepAndSave(options)),
      load: (path: TinkerPath.TinkerPath) => load(root, path),
      info: (path: TinkerPath.TinkerPath) => Effect.map(find(root, path), ({ info }) => info),
      update: (path: TinkerPath.TinkerPath, change: model.Change) => exclusively(update(root, path, change)),
      remove: (path: TinkerPath.TinkerPath) => exclusively(remove(root, path)),
      list: list(root)
    }
  })
