/** The store in a SQLite database beside the checkpoints. */
import * as Store from "@effect-tinker/server/Store"
import * as LibsqlClient from "@effect/sql-libsql/LibsqlClient"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as files from "./files.ts"
import type { MakeStore } from "./makeStore.ts"
import * as sqliteLocks from "./sqliteLocks.ts"

const layerClient = (url: URL) =>
  Layer.scoped(
    SqlClient.SqlClient,
    LibsqlClient.make({ url }).pipe(
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
