import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../../utils/client.ts"
import * as fixtures from "../../utils/checkpoints.ts"

const { del, get, ok, post, put, run, statusOf } = client

describe("the checkpoint commands", () => {
  it.scoped("publish, expire, copy and delete a checkpoint", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id, session_id } = yield* fixtures.savedModel
        const path = `/training_runs/${model_id}/checkpoints/weights/a`
        const found = Effect.map(ok(get(`/training_runs/${model_id}/checkpoints`)), ({ checkpoints }) =>
          checkpoints.find(({ checkpoint_id }: { readonly checkpoint_id: string }) => checkpoint_id === "weights/a")
        )
        assert.strictEqual(yield* statusOf(del(`${path}/publish`)), 409)
        assert.strictEqual(yield* statusOf(post(`${path}/publish`, undefined)), 204)
        assert.isTrue((yield* found).public)
        const again = yield* post(`${path}/publish`, undefined)
        assert.strictEqual(again.status, 409)
        assert.strictEqual(again.headers["x-should-retry"], "false")

        assert.strictEqual(yield* statusOf(put(`${path}/ttl`, { ttl_seconds: 0 })), 400)
        assert.strictEqual(yield* statusOf(put(`${path}/ttl`, { ttl_seconds: 3600 })), 204)
        assert.strictEqual((yield* found).expires_at, "1970-01-01T01:00:02.000Z")
        assert.strictEqual(yield* statusOf(put(`${path}/ttl`, { ttl_seconds: null })), 204)
        assert.isUndefined((yield* found).expires_at)

        const source_path = `tinker://${model_id}/weights/a`
        const copied = yield* ok(post("/copy_weights", { session_id, model_seq_id: 7, source_path }))
        assert.strictEqual(copied.tinker_path, `tinker://${session_id}:train:7/weights/a`)
        assert.strictEqual(yield* statusOf(post("/copy_weights", { session_id, model_seq_id: 0, source_path })), 409)
        assert.strictEqual(yield* statusOf(post("/copy_weights", { source_path })), 400)
        // retries with the same idempotency key make one copy
        const copyWith = (key: string) =>
          ok(post("/copy_weights", { destination_project_id: "p-0", source_path }, { "x-idempotency-key": key }))
        const once = yield* copyWith("k")
        assert.deepStrictEqual(yield* copyWith("k"), once)
        assert.notDeepEqual(yield* copyWith("l"), once)
        const moved = yield* ok(post("/copy_weights", { destination_project_id: "p", source_path }))
        assert.match(moved.tinker_path, /^tinker:\/\/[^/]+\/weights\/a$/)
        const runs = yield* ok(get("/training_runs?project_id=p"))
        assert.strictEqual(runs.training_runs[0].last_checkpoint.tinker_path, moved.tinker_path)

        assert.strictEqual(yield* statusOf(del(path)), 204)
        assert.strictEqual(yield* statusOf(del(path)), 404)
        assert.strictEqual(yield* statusOf(del(`/training_runs/${model_id}/checkpoints/other/a`)), 422)
        // the name can be used again
        yield* run("/save_weights", { model_id, path: "a" })
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("name the form of a checkpoint's id for an id without its kind", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* client.createModel(yield* client.createSession)
        yield* client.run("/save_weights_for_sampler", { model_id: model, path: "s" })
        const url = `/training_runs/${model}/checkpoints/s`
        for (const request of [
          client.get(`${url}/archive`),
          client.get(`${url}/external_weights_urls`),
          client.del(url),
          client.post(`${url}/publish`, {}),
          client.put(`${url}/ttl`, { ttl_seconds: 1 })
        ]) {
          const { body, status } = yield* request
          assert.strictEqual(status, 404)
          assert.include(body.detail, "<kind>/<name>, such as weights/s or sampler_weights/s")
        }
        const unpublish = yield* client.del(`${url}/publish`)
        assert.include(unpublish.body.detail, "sampler_weights")
      }).pipe(Effect.provide(layer))
    })
  )
})
