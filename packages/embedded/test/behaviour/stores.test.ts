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

const sampler = (id: string, fields: Partial<Store.SamplerRow> = {}): Store.SamplerRow => ({
  id,
  session_id: "s",
  owner: "user-a",
  base_model: "m",
  model_path: undefined,
  revision: undefined,
  delegated_read_as: undefined,
  ephemeral: false,
  fingerprint: undefined,
  joined: 1,
  created_at: 10,
  ...fields
})

/** Which rows every store finds, and what several changes of one row come to. */
const checkRows = (layer: StoreLayer) =>
  Effect.gen(function* () {
    const { mark, samplers, usage } = yield* build(layer)
    const ids = (filter: Store.Filter<Store.SamplerRow>) =>
      Effect.map(samplers.list(filter), (rows) =>
        rows
          .map(({ id }) => id)
          .sort()
          .join()
      )
    for (const row of [
      sampler("a", { ephemeral: true, model_path: 'it\'s "quoted" ? $1' }),
      sampler("b", { owner: "user-b", created_at: 20 }),
      sampler("c", { owner: undefined, session_id: "t", created_at: 30 }),
      sampler("d", { session_id: "t", joined: 2, created_at: 40 })
    ]) {
      yield* samplers.put(row)
    }
    const range = (from: number, to: number) => ({ column: "created_at", from, to }) as const
    for (const [filter, expected] of [
      [{}, "a,b,c,d"],
      [{ ownedBy: "user-a" }, "a,c,d"],
      [{ ownedBy: "user-b" }, "b,c"],
      [{ ownedBy: "user-x" }, "c"],
      [{ range: range(20, 40) }, "b,c"],
      [{ range: range(10, 11) }, "a"],
      [{ range: range(11, 10) }, ""],
      [{ where: { session_id: "t" } }, "c,d"],
      [{ where: { session_id: "t", joined: 2 } }, "d"],
      [{ where: { id: "a" } }, "a"],
      [{ where: { id: "a", session_id: "t" } }, ""],
      [{ where: { id: "nothing" } }, ""],
      [{ where: { session_id: "t" }, ownedBy: "user-b", range: range(0, 100) }, "c"],
      [{ where: { id: "b" }, ownedBy: "user-a" }, ""],
      [{ where: { id: "b" }, range: range(21, 30) }, ""]
    ] as const) {
      assert.strictEqual(yield* ids(filter), expected, JSON.stringify(filter))
    }
    assert.deepStrictEqual(
      yield* samplers.get({ id: "a" }),
      sampler("a", { ephemeral: true, model_path: 'it\'s "quoted" ? $1' })
    )
    // a row that is replaced has none of its values from before
    yield* samplers.put(sampler("a", { fingerprint: "f" }))
    assert.deepStrictEqual(yield* samplers.get({ id: "a" }), sampler("a", { fingerprint: "f" }))
    // several columns at once, one of which becomes empty, and none
    yield* samplers.patch({ id: "a", joined: 7, fingerprint: undefined, ephemeral: true })
    yield* samplers.patch({ id: "a" })
    assert.deepStrictEqual(yield* samplers.get({ id: "a" }), sampler("a", { joined: 7, ephemeral: true }))
    // changes of one row in one group
    yield* samplers.later.put(sampler("e"))
    yield* samplers.later.patch({ id: "e", joined: 5 })
    yield* samplers.later.patch({ id: "e", revision: "r" })
    yield* samplers.later.put(sampler("f"))
    yield* samplers.remove({ id: "f" })
    yield* samplers.later.patch({ id: "d", joined: 8 })
    yield* samplers.later.patch({ id: "d", revision: "s" })
    yield* mark()
    assert.deepStrictEqual(yield* samplers.get({ id: "e" }), sampler("e", { joined: 5, revision: "r" }))
    assert.strictEqual(yield* samplers.get({ id: "f" }), undefined)
    assert.deepInclude(yield* samplers.get({ id: "d" }), { joined: 8, revision: "s", session_id: "t" })
    const removed = samplers.remove({ id: "b" })
    yield* Effect.all([removed, samplers.later.patch({ id: "b", joined: 3 }), mark()], { concurrency: "unbounded" })
    assert.strictEqual(yield* samplers.get({ id: "b" }), undefined)
    yield* Effect.all([samplers.remove({ id: "c" }), samplers.put(sampler("c"))], { concurrency: "unbounded" })
    assert.deepStrictEqual(yield* samplers.get({ id: "c" }), sampler("c"))
    // a key of several columns: each is another row
    const row = { hour: 1, owner: "", session_id: "s", base_model: "other", type: "training" as const, count: 1 }
    for (const other of [row, { ...row, hour: 2 }, { ...row, session_id: "t" }, row]) yield* usage.put(other)
    yield* usage.remove({ hour: 2, owner: "", session_id: "s", base_model: "other", type: "training" })
    assert.deepStrictEqual(
      (yield* usage.list({ where: { base_model: "other" } }))
        .map(({ count, session_id }) => `${session_id}${count}`)
        .sort(),
      ["s2", "t1"]
    )
    // more rows in one group than a statement takes: each is added once
    for (let hour = 0; hour < 250; hour++) yield* usage.later.put({ ...row, hour, base_model: "many" })
    yield* mark()
    const many = yield* usage.list({ where: { base_model: "many" } })
    assert.deepStrictEqual([many.length, many.filter(({ count }) => count === 1).length], [250, 250])
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

  it.scopedLive("finds the same rows in memory as in SQLite", () =>
    Effect.gen(function* () {
      yield* Effect.flatMap(Store.makeMemory(), ({ layer }) => checkRows(layer))
      yield* Effect.flatMap(Store.makeMemory({ commitDelay: "1 millis" }), ({ layer }) => checkRows(layer))
      yield* checkRows(sqlite(yield* directory))
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("in memory keeps the latest rows of each owner, and those of sessions that have not ended", () =>
    Effect.gen(function* () {
      const database = yield* Store.makeMemory({ maxRows: 2 })
      const { samplers, sessions, usage } = yield* build(database.layer)
      yield* sessions.put(session("live", "i"))
      yield* samplers.put(sampler("0", { session_id: "live" }))
      for (const n of [1, 2, 3]) {
        yield* sessions.put({ ...session(`s${n}`, "i"), status: { type: "cancelled", detail: "" } })
        yield* samplers.put(sampler(`${n}`, { session_id: `s${n}` }))
        // a row that is put again is no further row
        yield* samplers.put(sampler(`${n}`, { session_id: `s${n}`, joined: 2 }))
      }
      yield* samplers.put(sampler("of-b", { owner: "user-b" }))
      yield* samplers.put(sampler("of-nobody", { owner: undefined }))
      const idsOf = (rows: ReadonlyArray<{ readonly id: string }>) => rows.map(({ id }) => id).join()
      assert.strictEqual(idsOf(yield* sessions.list()), "live,s3")
      assert.strictEqual(idsOf(yield* samplers.list()), "0,3,of-b,of-nobody")
      for (let hour = 0; hour < 5; hour++) {
        yield* usage.put({ hour, owner: "", session_id: "", base_model: "m", type: "training", count: 1 })
      }
      assert.strictEqual((yield* usage.list()).length, 2)
    })
  )

  it.scopedLive("in memory loses what is not committed when its process ends", () =>
    Effect.gen(function* () {
      const database = yield* Store.makeMemory({ commitDelay: "50 millis" })
      const first = yield* build(database.layer)
      yield* first.sessions.put(session("s1", first.instance))
      yield* first.sessions.later.put(session("s2", first.instance))
      yield* database.kill
      yield* Effect.sleep("100 millis")
      assert.isFalse(yield* first.reserve({ path: "p", action: "save", revision: "1", instance: first.instance }))
      const second = yield* build(database.layer)
      assert.deepStrictEqual(
        (yield* second.sessions.list()).map(({ id }) => id),
        ["s1"]
      )
      assert.isFalse(yield* second.isRunning(first.instance))
    })
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
        yield* checkRows(layer)
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
