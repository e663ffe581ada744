/// <reference types="node" />
/** The store on Node, Bun and Deno: SQLite, or in memory where its binary is not installed. */
import * as Store from "@effect-tinker/server/Store"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createRequire } from "node:module"
import * as files from "./files.ts"
import type { CopyDatabase, MakeStore } from "./makeStore.ts"

/** Requires the driver's package from where the client of SQLite does. */
const driverRequire = (): ((name: string) => unknown) => {
  const client = createRequire(import.meta.url).resolve("@effect/sql-libsql")
  return createRequire(createRequire(client).resolve("@libsql/client"))
}

/**
 * Loads SQLite's binary by `require`, whose failure can be caught. Node 20 also reports that of an import as an uncaught
 * exception, which ends the process.
 */
const loadBinary = Effect.flatMap(Effect.option(Effect.try(driverRequire)), (found) =>
  found._tag === "None" ? Effect.void : Effect.try(() => void found.value("libsql"))
)

const sqliteStore = Effect.mapError(
  Effect.andThen(
    loadBinary,
    Effect.tryPromise(() => import("./sqliteStore.ts"))
  ),
  ({ cause }) => cause
)

/** @internal */
export const layer: MakeStore = (directory) =>
  Layer.unwrapEffect(
    sqliteStore.pipe(
      Effect.map((sqlite) => sqlite.layer(directory)),
      Effect.catchAll((cause) =>
        Effect.as(
          Effect.logWarning(
            "SQLite is not installed for this platform: sessions, runs, usage and the audit log are kept in memory, and " +
              `end with this process. Checkpoints are stored. Use ${directory} in one process at a time`,
            cause
          ),
          Store.layerMemory
        )
      )
    )
  )

/** @internal */
export const copyDatabase: CopyDatabase = (from, to) =>
  Effect.flatMap(
    Effect.mapError(sqliteStore, files.toStoreError("SQLite is not installed for this platform")),
    (sqlite) => sqlite.copyDatabase(from, to)
  )
