import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as client from "../../utils/client.ts"
import * as fixtures from "../../utils/checkpoints.ts"

const { ok, post, statusOf } = client

describe("searches", () => {
  it.scoped("filter their results, and return them page by page", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id } = yield* fixtures.savedModel
        const first = yield* ok(post("/checkpoints/search", { limit: 1 }))
        assert.strictEqual(first.checkpoints[0].checkpoint_id, "sampler_weights/b")
        const second = yield* ok(post("/checkpoints/search", { limit: 1, cursor: first.next_cursor }))
        assert.strictEqual(second.checkpoints[0].tinker_path, `tinker://${model_id}/weights/a`)
        assert.isUndefined(second.next_cursor)
        const count = (path: string, key: string, query: object) =>
          Effect.map(ok(post(path, query)), (body) => body[key].length as number)
        const checkpoints = (query: object) => count("/checkpoints/search", "checkpoints", query)
        assert.strictEqual(yield* checkpoints({ checkpoint_type: "training" }), 1)
        assert.strictEqual(yield* checkpoints({ user_metadata: { step: "2" } }), 0)
        assert.strictEqual(yield* checkpoints({ base_models: [] }), 0)
        assert.strictEqual(yield* checkpoints({ project_ids: ["p"] }), 2)

        yield* TestClock.adjust("1 second")
        yield* client.createSession
        const page = yield* ok(post("/sessions/search", { limit: 1 }))
        const rest = yield* ok(post("/sessions/search", { limit: 1, cursor: page.next_cursor }))
        assert.strictEqual(rest.sessions[0].display_name, "Nightly run")
        assert.strictEqual(rest.sessions[0].checkpoints_count, 2)
        assert.isUndefined(rest.next_cursor)
        const sessions = (query: object) => count("/sessions/search", "sessions", query)
        assert.strictEqual(yield* sessions({ display_name: "night" }), 1)
        assert.strictEqual(yield* sessions({ display_name: "day" }), 0)
        assert.strictEqual(yield* sessions({ user_metadata: { suite: "rest" } }), 1)
        assert.strictEqual(yield* sessions({ statuses: [{ type: "active" }] }), 2)
        assert.strictEqual(yield* sessions({ statuses: [{ type: "client_finished", reasons: ["success"] }] }), 0)
        const cursor = { last_created_at: "no time", last_session_id: "" }
        assert.strictEqual(yield* statusOf(post("/sessions/search", { cursor })), 400)
      }).pipe(Effect.provide(layer))
    })
  )
})
