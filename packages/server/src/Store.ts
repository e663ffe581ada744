/**
 * The records of the service: sessions, training runs, samplers, checkpoints, uploads, usage, the audit log and users.
 * What the service has acknowledged is in the store, and is there after a restart, also after SIGKILL. The weights of
 * checkpoints are files, which are written before the store names them.
 *
 * - `layerMemory`: in memory, which ends with the process.
 * - `layerSql`: in SQLite or PostgreSQL.
 *
 * Changes are committed in groups: all that arrive while one group is being committed make up the next. Saves, sessions
 * and changes of checkpoints survive a power failure; usage survives the end of the process.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as backends from "./internal/store/backend.ts"
import * as memory from "./internal/store/memory.ts"
import * as model from "./internal/store/model.ts"
import * as services from "./internal/store/service.ts"
import * as advisoryLocks from "./internal/store/sql/advisoryLocks.ts"
import * as sqlBackend from "./internal/store/sql/backend.ts"
import * as databases from "./internal/store/sql/database.ts"
import * as migrations from "./internal/store/sql/migrations.ts"
import type { DurationInput } from "./internal/util/duration.ts"

export * from "./internal/store/model.ts"
export type { Service } from "./internal/store/service.ts"
export type { Records } from "./internal/store/records.ts"

/**
 * Which records to read.
 *
 * @since 0.1.0
 * @category models
 */
export interface Filter<Row> extends backends.Filter<Row> {}

/**
 * Locks that end with the process that holds them. They tell which processes run, and keep a second service from
 * listening on one directory.
 *
 * @since 0.1.0
 * @category models
 */
export interface Locks extends backends.Locks {}

/**
 * @since 0.1.0
 * @category tags
 */
export class Store extends Context.Tag("@effect-tinker/server/Store")<Store, services.Service>() {}

/**
 * A database in memory, which outlives the services that use it one after another.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryDatabase {
  readonly layer: Layer.Layer<Store>
  /** Ends the services that use it as the end of their process would: what is not committed is lost. */
  readonly kill: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const makeMemory = (
  options: {
    /** how long a commit takes; none by default */
    readonly commitDelay?: DurationInput | undefined
    /** how many rows of each kind are kept of each user, besides those that are still needed; 10,000 by default */
    readonly maxRows?: number | undefined
  } = {}
): Effect.Effect<MemoryDatabase> =>
  Effect.sync(() => {
    const state = memory.makeState(options.maxRows)
    const delay = options.commitDelay === undefined ? undefined : Duration.decode(options.commitDelay)
    const kills = new Set<() => void>()
    const layer = Layer.scoped(
      Store,
      Effect.gen(function* () {
        let dead = false
        const backend = memory.makeBackend(state, delay, () => dead)
        const one = yield* Effect.orDie(services.make(backend, memory.makeLocks(state), false))
        kills.add(() => {
          dead = true
          one.kill()
        })
        return one.store
      })
    )
    const kill = Effect.sync(() => {
      for (const kill of kills) kill()
      kills.clear()
      state.locks.clear()
    })
    return { layer: Layer.fresh(layer), kill }
  })

/**
 * A store in memory, which ends with the layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<Store> = Layer.unwrapEffect(Effect.map(makeMemory(), ({ layer }) => layer))

const makeSql = (
  sql: SqlClient.SqlClient,
  locks: Locks,
  isShared: boolean
): Effect.Effect<services.Service, model.StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const database = yield* databases.make(sql)
    yield* migrations.migrate(database)
    const { store } = yield* services.make(sqlBackend.make(database), locks, isShared)
    return store
  })

/**
 * Claims the store for a service that listens, until the scope closes. Two services that listen on one SQLite database
 * would not know of each other's sessions: the second one fails.
 *
 * @since 0.1.0
 * @category constructors
 */
export const claim: Effect.Effect<void, model.StoreError, Store | Scope.Scope> = Effect.gen(function* () {
  const store = yield* Store
  if (store.isShared || (yield* store.hold("listening"))) return
  return yield* new model.StoreError({
    reason:
      "another service listens on it. Stop that one, use another directory, or keep the records of both in a PostgreSQL " +
      "database"
  })
})

/**
 * A store in a SQLite database, whose journal mode is WAL. Several processes of one machine may share it. The tables are made, and brought to the
 * current format; a newer format is refused. `locks` are those of the database's directory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerSqlite = (locks: Locks): Layer.Layer<Store, model.StoreError, SqlClient.SqlClient> =>
  Layer.scoped(
    Store,
    Effect.flatMap(SqlClient.SqlClient, (sql) => makeSql(sql, locks, false))
  )

/**
 * A store in a PostgreSQL database, which several services may share.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerPostgres: Layer.Layer<Store, model.StoreError, SqlClient.SqlClient> = Layer.scoped(
  Store,
  Effect.flatMap(SqlClient.SqlClient, (sql) => makeSql(sql, advisoryLocks.make(sql), true))
)
