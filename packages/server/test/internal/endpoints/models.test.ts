import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../../utils/client.ts"

const { createModel, createSession, ok, post, run, statusOf } = client

describe("the endpoints of the group models", () => {
  it.scoped("unload a model, and fail its later operations", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        assert.deepStrictEqual(yield* run("/unload_model", { model_id: model }), {
          model_id: model,
          type: "unload_model"
        })
        assert.strictEqual((yield* engine.live).models, 0)
        const failed = yield* run("/optim_step", { adam_params: {}, model_id: model })
        assert.deepStrictEqual(failed, { error: `model ${model} was unloaded`, category: "user" })
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("create a model from a checkpoint, with or without the state of its optimizer", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const first = yield* createModel(session_id)
        const step = Effect.fnUntraced(function* (model_id: string, seq_id: number) {
          yield* ok(client.forwardBackward(model_id, seq_id))
          yield* ok(client.optimStep(model_id, seq_id + 1))
          const { metrics } = yield* run("/forward", { forward_input: client.input(client.datum([1, 2, 3])), model_id })
          return metrics["loss:sum"] as number
        })
        yield* step(first, 1)
        const { path } = yield* run("/save_weights", { model_id: first, path: "a" })
        const next = yield* step(first, 5)

        const load = { session_id, model_seq_id: 1, path, optimizer: true, type: "load_weights" }
        const model_id = `${session_id}:train:1`
        assert.deepStrictEqual(yield* run("/load_weights", load), { path, model_id, type: "load_weights" })
        assert.strictEqual((yield* ok(post("/get_info", { model_id }))).lora_rank, 8)
        assert.strictEqual(yield* step(model_id, 1), next)
        // a retry returns the same future; another request with the same model_seq_id is rejected
        assert.strictEqual((yield* ok(post("/load_weights", load))).request_id, `${model_id}:0`)
        assert.strictEqual(yield* statusOf(post("/load_weights", { ...load, optimizer: false })), 409)

        yield* run("/load_weights", { ...load, model_seq_id: 2, optimizer: false })
        assert.notStrictEqual(yield* step(`${session_id}:train:2`, 1), next)

        const rejected = (changes: object) => statusOf(post("/load_weights", { ...load, model_seq_id: 3, ...changes }))
        assert.strictEqual(yield* rejected({ base_model: "another" }), 400)
        assert.strictEqual(yield* rejected({ path: `tinker://${first}/weights/none` }), 404)
        assert.strictEqual(yield* rejected({ path: "elsewhere" }), 400)
        assert.strictEqual(yield* rejected({ optimizer_config: { type: "dimuon" } }), 400)
        assert.strictEqual(yield* rejected({ optimizer: 1 }), 422)
        assert.strictEqual(yield* rejected({ session_id: "none" }), 404)
      }).pipe(Effect.provide(layer))
    })
  )
})
