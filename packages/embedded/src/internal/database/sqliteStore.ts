/** The store in a SQLite database beside the checkpoints. */
import * as Store from "@effect-tinker/server/Store"
import * as LibsqlClient from "@effect/sql-libsql/LibsqlClient"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as files from "./files.ts"
import type { CopyDatabase, MakeStore } from "./makeStore.ts"
import * as sqliteLocks from "./sqliteLocks.ts"

const pause = 20

/**
 * Lets readers and a writer work side by side. A statement that returns rows, and finds the database locked, stays in
 * progress in its connection, which can commit no more: each attempt has a connection of its own.
 */
const enableWal = (url: URL): Effect.Effect<void> =>
  Effect.gen(function* () {
    const sql = yield* LibsqlClient.make({ url })
    return yield* Effect.isSuccess(sql.unsafe("PRAGMA journal_mode = WAL"))
  }).pipe(
    Effect.scoped,
    Effect.provide(Reactivity.layer),
    Effect.flatMap((done) => (done ? Effect.void : Effect.delay(enableWal(url), pause)))
  )

const layerClient = (url: URL) =>
  Layer.scoped(
    SqlClient.SqlClient,
    Effect.andThen(enableWal(url), LibsqlClient.make({ url })).pipe(
      Effect.catchAllDefect((defect) => Effect.fail(files.toStoreError("it cannot be opened")(defect)))
    )
  ).pipe(Layer.provide(Reactivity.layer))

/** @internal */
export const layer: MakeStore = (directory) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const path = yield* Path.Path
      const { database, locks } = yield* files.prepare(directory)
      const url = yield* path.toFileUrl(database)
      return Store.layerSqlite(yield* sqliteLocks.make(locks)).pipe(Layer.provide(layerClient(url)))
    }).pipe(Effect.mapError(files.toStoreError(`${directory} cannot hold it`)))
  )

/** A copy of one moment, with all that was committed, also while others write. @internal */
export const copyDatabase: CopyDatabase = (from, to) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const [source, target] = [files.databaseIn(path, from), files.databaseIn(path, to)]
    // the file must be empty, and this one is private to the user
    yield* files.prepare(to)
    const sql = yield* LibsqlClient.make({ url: yield* path.toFileUrl(source) })
    yield* sql.unsafe(`VACUUM INTO '${target.replaceAll("'", "''")}'`)
    const fs = yield* FileSystem.FileSystem
    yield* Effect.flatMap(fs.open(target, { flag: "r+" }), ({ sync }) => sync)
  }).pipe(
    Effect.scoped,
    Effect.provide(Reactivity.layer),
    Effect.catchAllDefect((defect) => Effect.fail(defect)),
    Effect.mapError(files.toStoreError(`the database in ${from} cannot be copied`))
  )
