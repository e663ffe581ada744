/** Locks in a directory: each is a SQLite file that its holder keeps locked. The system unlocks it when the process ends. */
import type * as Store from "@effect-tinker/server/Store"
import * as LibsqlClient from "@effect/sql-libsql/LibsqlClient"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as files from "./files.ts"

const open = (url: URL) =>
  LibsqlClient.make({ url }).pipe(
    Effect.provide(Reactivity.layer),
    Effect.catchAllDefect((defect) => Effect.fail(files.toStoreError("a lock cannot be opened")(defect)))
  )

/** @internal */
export const make = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const fileOf = (name: string) => path.join(directory, name)
  const urlOf = (name: string) => Effect.orDie(path.toFileUrl(fileOf(name)))
  const remove = (name: string) => Effect.ignore(fs.remove(fileOf(name)))
  /** Whether a statement can lock the file. */
  const locks = (sql: LibsqlClient.LibsqlClient, statement: string) => Effect.isSuccess(sql.unsafe(statement))

  const hold: Store.Locks["hold"] = (name) =>
    Effect.gen(function* () {
      const sql = yield* Effect.flatMap(urlOf(name), open)
      if (!(yield* locks(sql, "BEGIN EXCLUSIVE"))) return false
      // a closed connection may keep its lock until its statements are collected
      yield* Effect.addFinalizer(() => Effect.ignore(sql.unsafe("ROLLBACK")))
      // the names of processes are not used again
      if (name.startsWith("instance-")) yield* Effect.addFinalizer(() => remove(name))
      return true
    })
  const isHeld: Store.Locks["isHeld"] = (name) =>
    Effect.gen(function* () {
      if (!(yield* Effect.orElseSucceed(fs.exists(fileOf(name)), () => false))) return false
      const sql = yield* Effect.flatMap(urlOf(name), open)
      const isFree = yield* locks(sql, "SELECT name FROM sqlite_master")
      if (isFree && name.startsWith("instance-")) yield* Effect.addFinalizer(() => remove(name))
      return !isFree
    }).pipe(Effect.scoped)
  const made: Store.Locks = { hold, isHeld }
  return made
})
