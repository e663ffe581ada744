import * as Store from "@effect-tinker/server/Store"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as LibsqlClient from "@effect/sql-libsql/LibsqlClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Exit from "effect/Exit"
import * as Embedded from "../../src/Embedded.ts"
import * as postgres from "../utils/postgres.ts"

type StoreLayer = Layer.Layer<Store.Store, unknown>

const build = (layer: StoreLayer) => Effect.map(Layer.build(Layer.fresh(layer)), Context.get(Store.Store))

const session = (id: string, instance: string): Store.SessionRow => ({
  id,
  owner: "user-a",
  created_at: 1_795_824_000_000,
  user_metadata: { suite: "it's" },
  display_name: undefined,
  project_id: undefined,
  status: { type: "active" },
  instance,
  last_seen: 1
})

/** What every store does. `layer` opens the same database each time. */
const checkContract = (layer: StoreLayer) =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const first = yield* Scope.extend(build(layer), scope)
    // rows
    yield* first.sessions.put(session("s1", first.instance))
    yield* first.sessions.put({ ...session("s2", first.instance), owner: undefined })
    yield* first.sessions.put({ ...session("s3", first.instance), owner: "user-b" })
    yield* first.sessions.patch({ id: "s1", project_id: "p" })
    yield* first.sessions.patch({ id: "unknown", project_id: "p" })
    assert.deepStrictEqual(yield* first.sessions.get({ id: "s1" }), {
      ...session("s1", first.instance),
      project_id: "p"
    })
    const owned = yield* first.sessions.list({ ownedBy: "user-a" })
    assert.deepStrictEqual(owned.map(({ id }) => id).sort(), ["s1", "s2"])
    // a group: all changes of a row are in it, and usage adds up
    const usage = { hour: 3_600_000, owner: "", session_id: "s1", base_model: "m", type: "training" as const }
    for (let i = 1; i <= 250; i++) {
      yield* first.usage.later.put({ ...usage, count: 2 })
      yield* first.audit.later.put({ id: `a${i}`, owner: undefined, recorded_at: i, event: "e", details: { i } })
    }
    yield* first.sessions.later.patch({ id: "s1", last_seen: 7 })
    yield* first.mark()
    assert.deepStrictEqual(yield* first.usage.list(), [{ ...usage, count: 500 }])
    yield* first.usage.later.put({ ...usage, count: 1 })
    yield* first.mark()
    assert.strictEqual((yield* first.usage.list({ range: { column: "hour", from: 0, to: 3_600_001 } }))[0]!.count, 501)
    assert.deepStrictEqual(yield* first.usage.list({ range: { column: "hour", from: 0, to: 3_600_000 } }), [])
    assert.strictEqual((yield* first.audit.list()).length, 250)
    assert.strictEqual((yield* first.sessions.get({ id: "s1" }))?.last_seen, 7)
    yield* first.sessions.remove({ id: "s3" })
    // reservations and processes
    const reservation = { path: "tinker://r/weights/a", action: "save" as const, revision: "1" }
    const second = yield* build(layer)
    assert.notStrictEqual(first.instance, second.instance)
    assert.isTrue(yield* first.reserve({ ...reservation, instance: first.instance }))
    assert.isFalse(yield* second.reserve({ ...reservation, instance: second.instance }))
    assert.isTrue(yield* second.isRunning(first.instance))
    assert.isFalse(yield* second.isRunning("00000000-0000-7000-8000-000000000000"))
    assert.isTrue(yield* Scope.extend(first.hold("lock"), scope))
    assert.isFalse(yield* Effect.scoped(second.hold("lock")))
    // what is recorded when the first one ends is there, and its locks are free
    yield* first.sessions.later.patch({ id: "s2", display_name: "last" })
    yield* Scope.close(scope, Exit.void)
    assert.isFalse(yield* second.isRunning(first.instance))
    assert.isTrue(yield* Effect.scoped(second.hold("lock")))
    assert.strictEqual((yield* second.sessions.get({ id: "s2" }))?.display_name, "last")
    assert.strictEqual(yield* second.sessions.get({ id: "s3" }), undefined)
    assert.strictEqual((yield* second.reservations.get({ path: reservation.path }))?.instance, first.instance)
  })

const directory = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

const sqlite = (directory: string): StoreLayer => Layer.provide(Embedded.layerStore(directory), NodeContext.layer)

/** Sets the version of the format of a database. */
const setFormat = (version: number) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(`INSERT INTO "tinker_format" VALUES (${version})`))

const newer = /newer version of effect-tinker: its format is 1000, and this version knows up to \d+/

describe("a store", () => {
  it.scopedLive("holds records in memory", () =>
    Effect.flatMap(Store.makeMemory(), ({ layer }) => checkContract(layer))
  )

  it.scopedLive("holds records in SQLite, in files that are private to the user", () =>
    Effect.gen(function* () {
      const path = yield* directory
      yield* checkContract(sqlite(path))
      const fs = yield* FileSystem.FileSystem
      for (const name of yield* fs.readDirectory(path)) {
        assert.strictEqual((yield* fs.stat(`${path}/${name}`)).mode & 0o077, 0, name)
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("is refused if a newer version wrote it", () =>
    Effect.gen(function* () {
      const path = yield* directory
      yield* Effect.scoped(build(sqlite(path)))
      yield* Effect.provide(setFormat(1000), LibsqlClient.layer({ url: `file:${path}/tinker.db` }))
      assert.match(String(yield* Effect.flip(Effect.scoped(build(sqlite(path))))), newer)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive(
    "holds records in PostgreSQL, which several services may share",
    () =>
      Effect.gen(function* () {
        const client = PgClient.layer({ url: yield* postgres.make })
        const layer: StoreLayer = Store.layerPostgres.pipe(Layer.provide(client))
        yield* Effect.all(
          Array.from({ length: 3 }, () => Effect.scoped(build(layer))),
          { concurrency: "unbounded" }
        )
        yield* checkContract(layer)
        const claims = Effect.flatMap(build(layer), (store) => Effect.provideService(Store.claim, Store.Store, store))
        yield* Effect.all([claims, claims])
        yield* Effect.provide(setFormat(1000), client)
        assert.match(String(yield* Effect.flip(Effect.scoped(build(layer)))), newer)
      }).pipe(
        Effect.catchIf(
          (error) => error instanceof postgres.NoPostgres,
          ({ reason }) => Effect.sync(() => process.stderr.write(`skipped: ${reason}\n`))
        )
      ),
    60_000
  )
})
