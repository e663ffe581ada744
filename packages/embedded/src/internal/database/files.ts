/** The files of the database in a directory of checkpoints. */
import * as Store from "@effect-tinker/server/Store"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"

/** The database, in the directory of checkpoints. */
const databaseFile = "tinker.db"

/** The directory of locks. */
const locksDirectory = ".locks"

/** Turns a failure to use the files into one of the store. @internal */
export const toStoreError = (what: string) => (cause: unknown) =>
  new Store.StoreError({ reason: `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, cause })

/** The path of the database in a directory. @internal */
export const databaseIn = (path: Path.Path, directory: string): string => path.resolve(directory, databaseFile)

/** Makes the directories, private to the user, and returns the paths of the database and of the locks. @internal */
export const prepare = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const locks = path.resolve(directory, locksDirectory)
  const database = databaseIn(path, directory)
  yield* fs.makeDirectory(locks, { recursive: true, mode: 0o700 })
  // SQLite gives its other files the mode of this one
  yield* Effect.scoped(fs.open(database, { flag: "a", mode: 0o600 }))
  // those that were there may be open to others; a file of another user stays as it is
  yield* Effect.ignore(fs.chmod(locks, 0o700))
  for (const suffix of ["", "-wal", "-shm"]) yield* Effect.ignore(fs.chmod(`${database}${suffix}`, 0o600))
  return { database, locks }
})
