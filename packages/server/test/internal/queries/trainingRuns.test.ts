import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../../utils/client.ts"
import * as fixtures from "../../utils/checkpoints.ts"

const { createModel, get, ok, post, statusOf } = client

describe("the training run queries", () => {
  it.scoped("list and describe training runs, their checkpoints, their storage and their audit log", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id, session_id } = yield* fixtures.savedModel
        yield* createModel(session_id, 1)
        const listed = yield* ok(get("/training_runs?limit=1&offset=1&project_id=p"))
        assert.deepStrictEqual(listed.cursor, { offset: 1, limit: 1, total_count: 2 })
        assert.strictEqual(listed.training_runs.length, 1)
        assert.strictEqual((yield* ok(get("/training_runs?project_id=q"))).cursor.total_count, 0)
        const found = yield* ok(get(`/training_runs/${model_id}`))
        assert.strictEqual(found.training_run_id, model_id)
        assert.strictEqual(found.lora_rank, 8)
        assert.strictEqual(found.last_checkpoint.checkpoint_id, "weights/a")
        assert.strictEqual(found.last_sampler_checkpoint.checkpoint_id, "sampler_weights/b")
        assert.strictEqual(yield* statusOf(get("/training_runs/none")), 404)
        assert.strictEqual(yield* statusOf(get("/training_runs?limit=x")), 422)

        const { checkpoints } = yield* ok(get(`/training_runs/${model_id}/checkpoints`))
        assert.deepStrictEqual(
          checkpoints.map(({ checkpoint_id, checkpoint_type }: never) => [checkpoint_id, checkpoint_type]),
          [
            ["sampler_weights/b", "sampler"],
            ["weights/a", "training"]
          ]
        )
        assert.deepStrictEqual(checkpoints[1].user_metadata, { step: "1" })
        assert.strictEqual(checkpoints[1].time, "1970-01-01T00:00:01.000Z")
        const page = yield* ok(get("/checkpoints?limit=1"))
        assert.deepStrictEqual(page.cursor, { offset: 0, limit: 1, total_count: 2 })
        assert.strictEqual(yield* statusOf(get("/training_runs/none/checkpoints")), 404)

        const info = yield* ok(post("/weights_info", { tinker_path: `tinker://${model_id}/weights/a` }))
        assert.strictEqual(info.lora_rank, 8)
        assert.strictEqual(yield* statusOf(post("/weights_info", { tinker_path: "x" })), 400)
        const storage = yield* ok(get("/billing/usage/checkpoints/current"))
        assert.strictEqual(storage.data[0].checkpoint_count, 2)
        const { entries } = yield* ok(get("/audit"))
        assert.deepStrictEqual(
          entries.map((entry: { event: string }) => entry.event),
          ["checkpoint_created", "checkpoint_created"]
        )
        assert.deepStrictEqual(yield* ok(get("/audit?day=1970-01-02")), { entries: [] })
        assert.deepStrictEqual(yield* ok(get("/audit?event_type=teams")), { entries: [] })
        assert.strictEqual(yield* statusOf(get("/audit?day=1970-13-99")), 400)
      }).pipe(Effect.provide(layer))
    })
  )
})
