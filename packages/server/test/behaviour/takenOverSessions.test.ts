import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as TestServer from "@effect-tinker/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as client from "../utils/client.ts"

const { createModel, createSession, get, ok, post, statusOf } = client

const heartbeat = (session_id: string) => statusOf(post("/session_heartbeat", { session_id }))

/** A database in memory, whose rows can be read, and services on it that end with their scope. */
const make = Effect.gen(function* () {
  const { kill, layer } = yield* Store.makeMemory()
  const checkpoints = Layer.succeed(CheckpointStore.CheckpointStore, yield* CheckpointStore.makeMemory)
  const rows = Context.get(yield* Layer.build(Layer.fresh(layer)), Store.Store)
  const start = (options: TestServer.Options = {}) =>
    TestServer.make({ ...options, store: Layer.fresh(layer), checkpoints })
  /** Runs a program on a service whose process is killed then. */
  const untilKilled = <A, E>(program: (server: TestServer.TestServer) => Effect.Effect<A, E>, ends = kill) =>
    Effect.acquireUseRelease(
      Scope.make(),
      (scope) => Effect.flatMap(Scope.extend(start(), scope), program),
      (scope) => Effect.andThen(ends, Scope.close(scope, Exit.void))
    )
  return { rows, start, untilKilled }
})

describe("a session that an earlier process served", () => {
  it.scoped("goes on, without its models, and expires here", () =>
    Effect.gen(function* () {
      const { rows, start, untilKilled } = yield* make
      const [session, model, unloaded] = yield* untilKilled(({ layer }) =>
        Effect.gen(function* () {
          const session = yield* createSession
          const models = [yield* createModel(session, 0), yield* createModel(session, 1)] as const
          yield* client.run("/unload_model", { model_id: models[1] })
          yield* client.run("/save_weights_for_sampler", { model_id: models[0] })
          return [session, ...models] as const
        }).pipe(Effect.provide(layer))
      )
      yield* TestClock.adjust("23 hours")
      const { layer } = yield* start({ maxSessions: 1 })
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* rows.runs.get({ id: model }))?.state, "lost")
        assert.strictEqual((yield* rows.runs.get({ id: unloaded }))?.state, "unloaded")
        assert.strictEqual((yield* rows.sessions.get({ id: session }))?.last_seen, 23 * 3_600_000)
        assert.strictEqual(yield* heartbeat(session), 200)
        const sampler = `${session}:sample:0`
        const sampled = yield* post("/asample", client.sampleRequest(sampler, 1))
        assert.deepStrictEqual(
          [sampled.status, sampled.body.detail],
          [
            404,
            `sampling session ${sampler} sampled from weights in memory, which ended with the process of the service: save ` +
              "them again"
          ]
        )
        // it counts as one of its user
        assert.strictEqual(yield* statusOf(post("/create_session", { tags: [], sdk_version: "test" })), 429)
        yield* TestClock.adjust("301 seconds")
        assert.strictEqual(yield* heartbeat(session), 410)
        const { status } = (yield* rows.sessions.get({ id: session }))!
        assert.deepStrictEqual(status, { type: "cancelled", detail: "no heartbeat for 300 s" })
        yield* createSession
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("has ended if that was more than a day ago", () =>
    Effect.gen(function* () {
      const { rows, start, untilKilled } = yield* make
      const session = yield* untilKilled(({ layer }) => Effect.provide(createSession, layer))
      yield* TestClock.adjust("24 hours")
      yield* untilKilled(({ layer }) =>
        Effect.map(heartbeat(session), (status) => assert.strictEqual(status, 200)).pipe(Effect.provide(layer))
      )
      yield* TestClock.adjust("86400001 millis")
      const { layer } = yield* start()
      assert.strictEqual(yield* Effect.provide(heartbeat(session), layer), 410)
      const { status } = (yield* rows.sessions.get({ id: session }))!
      assert.deepStrictEqual(status, { type: "cancelled", detail: "no heartbeat while no service ran" })
    })
  )

  it.scoped("is left to a process that runs, and ends with none that stops", () =>
    Effect.gen(function* () {
      const { rows, start, untilKilled } = yield* make
      const other = yield* start({ maxSessions: 2 })
      const session = yield* untilKilled(
        ({ layer }) =>
          Effect.gen(function* () {
            const session = yield* createSession
            assert.strictEqual(yield* Effect.provide(heartbeat(session), other.layer), 410)
            return session
          }).pipe(Effect.provide(layer)),
        Effect.void
      )
      assert.strictEqual((yield* rows.sessions.get({ id: session }))?.status.type, "active")
      // many requests at once take it over once
      const beats = Array.from({ length: 4 }, () => heartbeat(session))
      assert.deepStrictEqual(
        yield* Effect.provide(Effect.all(beats, { concurrency: "unbounded" }), other.layer),
        [200, 200, 200, 200]
      )
      assert.isString(yield* Effect.provide(createSession, other.layer))
      const finish = post(`/sessions/${session}/finish`, { reason: { type: "success" } })
      assert.strictEqual(yield* Effect.provide(statusOf(finish), other.layer), 204)
      const { status } = (yield* rows.sessions.get({ id: session }))!
      assert.strictEqual(status.type, "client_finished")
    })
  )
})

describe("the record of a session", () => {
  it.scoped("says to the minute when it was used last", () =>
    Effect.gen(function* () {
      const { rows, start } = yield* make
      const { layer } = yield* start()
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const recordedAfter = (millis: number) =>
          Effect.gen(function* () {
            yield* TestClock.adjust(millis)
            yield* heartbeat(session)
            yield* rows.mark()
            return (yield* rows.sessions.get({ id: session }))?.last_seen
          })
        assert.strictEqual(yield* recordedAfter(59_999), 0)
        assert.strictEqual(yield* recordedAfter(1), 60_000)
        assert.strictEqual(yield* recordedAfter(59_999), 60_000)
        assert.strictEqual(yield* recordedAfter(1), 120_000)
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("the traces of sessions that ended", () => {
  it.scoped("are kept of the last sixteen with operations", () =>
    Effect.gen(function* () {
      const { start } = yield* make
      const { layer } = yield* start()
      yield* Effect.gen(function* () {
        const used = (hasModel: boolean) =>
          Effect.gen(function* () {
            const session = yield* createSession
            if (hasModel) yield* createModel(session)
            yield* post(`/sessions/${session}/finish`, { reason: { type: "success" } })
            return session
          })
        const sessions = yield* Effect.forEach(Array.from({ length: 17 }), () => used(true))
        yield* Effect.forEach(Array.from({ length: 3 }), () => used(false))
        const lengths = yield* Effect.forEach(sessions, (session) =>
          Effect.gen(function* () {
            const { url } = yield* ok(get(`/sessions/${session}/trace_export`))
            const { traceEvents } = yield* ok(get(String(url).replace(/^.*\/api\/v1/, "")))
            return (traceEvents as ReadonlyArray<{ readonly ph: string }>).some(({ ph }) => ph === "X")
          })
        )
        assert.deepStrictEqual(lengths, [false, ...Array.from({ length: 16 }, () => true)])
      }).pipe(Effect.provide(layer))
    })
  )
})
