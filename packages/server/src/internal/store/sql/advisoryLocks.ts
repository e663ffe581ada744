/** Locks of PostgreSQL, which end with the connection that holds them. */
import type * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlError from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Locks } from "../backend.ts"
import { StoreError } from "../model.ts"

// distinguishes the locks of the service from those of other programs
const namespace = 7_316

const toStoreError = (cause: SqlError.SqlError) => new StoreError({ reason: `a lock failed: ${cause.message}`, cause })

const take = `SELECT pg_try_advisory_lock(${namespace}, hashtext($1)) AS "held"`
const release = `SELECT pg_advisory_unlock(${namespace}, hashtext($1))`

/** @internal */
export const make = (sql: SqlClient.SqlClient): Locks => {
  /** Tries to take a lock on a connection of its own. */
  const hold: Locks["hold"] = (name) =>
    Effect.gen(function* () {
      const connection = yield* sql.reserve
      const [row] = yield* connection.execute(take, [name], undefined)
      const held = row?.["held"] === true
      if (held) yield* Effect.addFinalizer(() => Effect.ignore(connection.execute(release, [name], undefined)))
      return held
    }).pipe(Effect.mapError(toStoreError))
  return { hold, isHeld: (name) => Effect.map(Effect.scoped(hold(name)), (held) => !held) }
}
