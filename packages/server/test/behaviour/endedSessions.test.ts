import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Engine from "@effect-tinker/server/Engine"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as Store from "@effect-tinker/server/Store"
import * as TinkerServer from "@effect-tinker/server/TinkerServer"
import * as TinkerService from "@effect-tinker/server/TinkerService"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as client from "../utils/client.ts"

const { createModel, forwardBackward, get, ok, poll, post, result, run } = client

/** A service, with what it holds. */
const start = Effect.gen(function* () {
  const { engine } = yield* TestEngine.make({ record: false, vocabularySize: 16 })
  const context = yield* Layer.build(
    TinkerService.layer().pipe(
      Layer.provide([Layer.succeed(Engine.Engine, engine), CheckpointStore.layerMemory, Store.layerMemory])
    )
  )
  const service = Context.get(context, TinkerService.TinkerService)
  const http = yield* Effect.provide(InProcessHttpClient.make(TinkerServer.layerHandlers()), context)
  return { held: service.held, layer: Layer.succeed(HttpClient.HttpClient, http) }
})

const nothing: TinkerService.Held = { sessions: 0, models: 0, samplers: 0, futures: 0, waiting: 0 }

const createSession = Effect.map(
  ok(post("/create_session", { tags: [], user_metadata: { purpose: "test" }, sdk_version: "test", display_name: "d" })),
  ({ session_id }) => session_id as string
)

const finish = (session: string) =>
  Effect.map(client.statusOf(post(`/sessions/${session}/finish`, { reason: { type: "success" } })), (status) =>
    assert.strictEqual(status, 204)
  )

/** Uses a session in every way, and returns the ids of operations: with a result, without one, and of a sample. */
const use = (session: string) =>
  Effect.gen(function* () {
    const model = yield* createModel(session)
    const { request_id: done } = yield* ok(forwardBackward(model, 1))
    const { sampling_session_id } = yield* run("/save_weights_for_sampler", { model_id: model, seq_id: 2 })
    yield* run("/asample", client.sampleRequest(sampling_session_id, 0))
    const { request_id: sampled } = yield* ok(post("/asample", client.sampleRequest(sampling_session_id, 1)))
    yield* TestClock.adjust(0)
    const { request_id: waiting } = yield* ok(forwardBackward(model, 9))
    return { model, sampling_session_id, done, sampled, waiting }
  })

describe("a session that has ended", () => {
  it.scoped("leaves nothing behind but its description, after a minute in which results can be fetched", () =>
    Effect.gen(function* () {
      const { held, layer } = yield* start
      yield* Effect.gen(function* () {
        for (let i = 0; i < 20; i++) {
          const session = yield* createSession
          const { done, model, sampled, sampling_session_id, waiting } = yield* use(session)
          assert.strictEqual((yield* held).sessions, 1)
          yield* finish(session)
          yield* TestClock.adjust("59 seconds")
          assert.property(yield* result(done), "metrics")
          assert.property(yield* result(sampled), "sequences")
          assert.match((yield* result(waiting)).error, /has ended/)
          yield* TestClock.adjust("2 seconds")
          assert.deepStrictEqual(yield* held, nothing)
          for (const id of [done, sampled, waiting]) assert.strictEqual((yield* poll(id)).status, 410)
          assert.strictEqual((yield* forwardBackward(model, 3)).status, 404)
          const described = yield* ok(get(`/sessions/${session}`))
          assert.deepStrictEqual(described.training_run_ids, [model])
          assert.deepStrictEqual(described.sampler_ids, [sampling_session_id])
          assert.deepStrictEqual(described.user_metadata, { purpose: "test" })
          assert.strictEqual((yield* ok(get(`/training_runs/${model}`))).lora_rank, 8)
        }
        assert.strictEqual((yield* ok(get("/sessions?limit=100"))).sessions.length, 20)
        assert.strictEqual((yield* ok(get("/training_runs?limit=100"))).training_runs.length, 20)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("keeps how it ended", () =>
    Effect.gen(function* () {
      const { layer } = yield* start
      yield* Effect.gen(function* () {
        const session = yield* createSession
        yield* finish(session)
        yield* TestClock.adjust("10 minutes")
        const found = yield* ok(post("/sessions/search", { session_id: session }))
        assert.deepStrictEqual(found.sessions[0].status, { type: "client_finished", reason: { type: "success" } })
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("leaves nothing behind either when it expires, or when its model could not be created", () =>
    Effect.gen(function* () {
      const { held, layer } = yield* start
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const { path } = yield* Effect.flatMap(use(session), ({ model }) =>
          Effect.flatMap(ok(post("/save_weights", { model_id: model, path: "a", seq_id: 3 })), ({ request_id }) =>
            Effect.zipRight(TestClock.adjust("2 minutes"), result(request_id))
          )
        )
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* held, nothing)
        const other = yield* createSession
        assert.strictEqual((yield* client.del(`/training_runs/${session}:train:0/checkpoints/weights/a`)).status, 204)
        const load = { session_id: other, model_seq_id: 0, path, optimizer: true }
        assert.strictEqual((yield* post("/load_weights", load)).status, 404)
        yield* finish(other)
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(yield* held, nothing)
      }).pipe(Effect.provide(layer))
    })
  )
})
