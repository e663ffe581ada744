import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as client from "../utils/client.ts"
import * as users from "../utils/users.ts"

const { createModel, createSession, ok, post, run } = client

const session = { tags: [], user_metadata: {}, sdk_version: "test" }
const base_model = "effect-tinker/test"

const finish = (id: string) => post(`/sessions/${id}/finish`, { reason: { type: "success" } })

describe("what a user has in the service", () => {
  it.scoped("is bounded in sessions: one more gets 429 with the number, until one ends", () =>
    Effect.gen(function* () {
      const as = yield* users.start({ maxSessions: 3 })
      const [ada, bob] = [as(users.keys[0]), as(users.keys[1])]
      const ids = yield* ada(Effect.all([createSession, createSession, createSession]))
      const rejected = yield* ada(post("/create_session", session))
      assert.strictEqual(rejected.status, 429)
      assert.include(rejected.body.detail, "3 of your sessions have not ended, and the limit is 3")
      yield* bob(createSession)
      yield* ada(finish(ids[0]!))
      yield* ada(createSession)
      assert.strictEqual((yield* ada(post("/create_session", session))).status, 429)
      yield* TestClock.adjust("6 minutes")
      yield* ada(createSession)
    })
  )

  it.scoped("is bounded in sessions that are created at once", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ maxSessions: 3 })
      const statuses = yield* Effect.all(
        Array.from({ length: 8 }, () => client.statusOf(post("/create_session", session))),
        { concurrency: "unbounded" }
      ).pipe(Effect.provide(layer))
      assert.deepStrictEqual(statuses.sort(), [200, 200, 200, 429, 429, 429, 429, 429])
    })
  )

  it.scoped("is bounded in models: one more gets 409 with the number, also when others were unloaded", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ maxModels: 2 })
      yield* Effect.gen(function* () {
        const first = yield* createSession
        const second = yield* createSession
        const model = yield* createModel(first, 0)
        yield* createModel(second, 0)
        yield* run("/unload_model", { model_id: model })
        const request = { session_id: second, model_seq_id: 1, base_model }
        const rejected = yield* post("/create_model", request)
        assert.strictEqual(rejected.status, 409)
        assert.include(rejected.body.detail, "2 models, and the limit is 2")
        yield* createModel(second, 0) // a repeated request creates none
        yield* finish(first)
        yield* ok(post("/create_model", request))
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("is bounded in sampling sessions, in number and in the weights that they hold", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ maxSamplers: 2 })
      yield* Effect.gen(function* () {
        const id = yield* createSession
        const model = yield* createModel(id)
        const create = (sampling_session_seq_id: number) =>
          post("/create_sampling_session", { session_id: id, sampling_session_seq_id, base_model })
        yield* ok(create(0))
        yield* run("/save_weights_for_sampler", { model_id: model })
        const rejected = yield* create(5)
        assert.strictEqual(rejected.status, 409)
        assert.include(rejected.body.detail, "2 sampling sessions, and the limit is 2")
        assert.strictEqual((yield* post("/save_weights_for_sampler", { model_id: model })).status, 409)
        yield* ok(create(0))
        yield* finish(id)
        const next = yield* createSession
        yield* ok(post("/create_sampling_session", { session_id: next, sampling_session_seq_id: 0, base_model }))
      }).pipe(Effect.provide(layer))
      const small = yield* client.start({ maxSamplerBytes: 1 })
      yield* Effect.gen(function* () {
        const id = yield* createSession
        const model = yield* createModel(id)
        yield* run("/save_weights_for_sampler", { model_id: model })
        const rejected = yield* post("/save_weights_for_sampler", { model_id: model })
        assert.strictEqual(rejected.status, 409)
        assert.include(rejected.body.detail, "were saved without a name")
        yield* run("/save_weights_for_sampler", { model_id: model, path: "named" })
        yield* finish(id)
        yield* run("/save_weights_for_sampler", { model_id: yield* createModel(yield* createSession) })
      }).pipe(Effect.provide(small.layer))
    })
  )
})
