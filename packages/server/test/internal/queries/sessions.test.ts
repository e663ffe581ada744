import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../../utils/client.ts"
import * as fixtures from "../../utils/checkpoints.ts"

const { get, ok, post, put, statusOf } = client

describe("the session queries", () => {
  it.scoped("describe sessions and samplers, and assign a session to one project", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id, session_id } = yield* fixtures.savedModel
        const model_path = `tinker://${model_id}/sampler_weights/b`
        yield* ok(post("/create_sampling_session", { session_id, sampling_session_seq_id: 0, model_path }))
        const found = yield* ok(get(`/sessions/${session_id}`))
        assert.deepStrictEqual(found.training_run_ids, [model_id])
        assert.deepStrictEqual(found.user_metadata, { suite: "rest" })
        const sampler = yield* ok(get(`/samplers/${found.sampler_ids[0]}`))
        assert.strictEqual(sampler.model_path, model_path)
        assert.deepStrictEqual((yield* ok(get("/sessions"))).sessions, [session_id])
        assert.strictEqual(yield* statusOf(get("/sessions/none")), 404)
        assert.strictEqual(yield* statusOf(get("/samplers/none")), 404)
        assert.strictEqual(yield* statusOf(get("/sessions/none/trace_export")), 404)
        assert.strictEqual(yield* statusOf(put(`/sessions/${session_id}/project`, { project_id: "p" })), 204)
        assert.strictEqual(yield* statusOf(put(`/sessions/${session_id}/project`, { project_id: "q" })), 409)
      }).pipe(Effect.provide(layer))
    })
  )
})
