/**
 * Makes the directory of a store and its records agree: completes or removes what processes left behind that ended during
 * a change, and adds the checkpoints that have no record, such as those of a version without records.
 */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Store from "../../Store.ts"
import * as directories from "./directories.ts"
import * as layout from "./layout.ts"
import type { Info } from "./model.ts"
import * as storedInfo from "./storedInfo.ts"
import * as uploadFiles from "./uploadFiles.ts"

/** The record of a checkpoint. @internal */
export const rowOf = (info: Info): Store.CheckpointRow => ({
  path: TinkerPath.format(info),
  training_run_id: info.training_run_id,
  owner: info.owner,
  created_at: info.created_at,
  expires_at: info.expires_at,
  info
})

/** Moves a checkpoint back that was about to be replaced, unless its replacement is in place. */
const restoreReplaced = Effect.fnUntraced(function* (root: directories.Root, replaced: string) {
  const { fs, join } = root
  const file = join(replaced, layout.infoFile)
  if (!(yield* fs.exists(file))) return
  const info = yield* Effect.option(Effect.flatMap(fs.readFileString(file), storedInfo.decode))
  const directory = info._tag === "Some" ? storedInfo.directoryOf(root, info.value) : undefined
  if (directory === undefined || (yield* fs.exists(directory))) return
  yield* fs.rename(replaced, directory)
  yield* directories.syncDirectory(root, join(directory, ".."))
})

/** Removes the temporary directories of processes that ended. */
const removeTemporary = Effect.fnUntraced(function* (root: directories.Root, records: Store.Service) {
  const { directory, fs, join } = root
  for (const name of yield* fs.readDirectory(directory)) {
    if (!name.startsWith(layout.temporaryPrefix)) continue
    const instance = layout.instanceOfTemporary(name)
    if (instance !== undefined && (yield* records.isRunning(instance))) continue
    yield* restoreReplaced(root, join(directory, name, layout.replacedDirectory))
    yield* fs.remove(join(directory, name), { recursive: true, force: true })
  }
})

/** Completes a change if its files are in place, and removes those of a checkpoint that was removed. */
const settleReservation = Effect.fnUntraced(function* (
  root: directories.Root,
  records: Store.Service,
  { action, path, revision }: Store.ReservationRow
) {
  const parsed = Option.getOrUndefined(TinkerPath.parse(path))
  const stored = parsed === undefined ? undefined : yield* storedInfo.read(root, parsed)
  if (stored !== undefined && stored.info.revision === revision) {
    if (action !== "remove") yield* records.checkpoints.put(rowOf(stored.info))
    else if ((yield* records.checkpoints.get({ path })) === undefined) {
      yield* directories.removeDirectory(root, stored.directory)
    }
  }
  yield* records.reservations.remove({ path })
})

const settleReservations = Effect.fnUntraced(function* (root: directories.Root, records: Store.Service) {
  for (const reservation of yield* records.reservations.list()) {
    if (yield* records.isRunning(reservation.instance)) continue
    yield* settleReservation(root, records, reservation)
  }
})

/** Adds records for the checkpoints of the directory that have none. */
const addUnknown = Effect.fnUntraced(function* (root: directories.Root, records: Store.Service) {
  const directoriesOfCheckpoints = yield* storedInfo.paths(root)
  // read after the directory: a checkpoint that is being saved meanwhile has a reservation or a record
  const reserved = yield* records.reservations.list()
  const recorded = yield* records.checkpoints.list()
  const known = new Set([...recorded, ...reserved].map(({ path }) => path))
  for (const path of directoriesOfCheckpoints) {
    if (known.has(TinkerPath.format(path))) continue
    const stored = yield* Effect.option(storedInfo.read(root, path))
    if (stored._tag === "Some" && stored.value !== undefined)
      yield* records.checkpoints.later.put(rowOf(stored.value.info))
  }
  yield* records.mark()
})

/** Removes the files of uploads that were removed: the record of one is written before its files. */
const removeUploads = Effect.fnUntraced(function* (root: directories.Root, records: Store.Service) {
  const directory = uploadFiles.directoryOf(root)
  for (const id of yield* directories.entries(root, directory)) {
    if ((yield* records.uploads.get({ id })) !== undefined) continue
    yield* root.fs.remove(root.join(directory, id), { recursive: true, force: true })
  }
})

/** @internal */
export const recover = (root: directories.Root, records: Store.Service): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (!(yield* root.fs.exists(root.directory))) return
    yield* removeTemporary(root, records)
    yield* settleReservations(root, records)
    yield* addUnknown(root, records)
    yield* removeUploads(root, records)
  }).pipe(
    Effect.catchAll((error) =>
      Effect.logWarning(`what earlier processes left in ${root.directory} cannot be cleaned up`, error)
    )
  )
