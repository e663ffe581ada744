import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as client from "../../utils/client.ts"

const { createModel, createSession, ok, post, result, run, statusOf } = client

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

  it.scoped("unload a model without a seq_id, after what is queued, and fail at once what comes later", () =>
    Effect.gen(function* () {
      const { engine, layer, open } = yield* client.startGated("forwardBackward")
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const pass = yield* ok(client.forwardBackward(model, 1))
        const unload = yield* ok(post("/unload_model", { model_id: model }))
        assert.deepStrictEqual(yield* ok(post("/unload_model", { model_id: model })), unload)
        // the client's own next number, one after a gap, one of the service, and one that would be rejected otherwise
        const unloaded = { error: `model ${model} was unloaded`, category: "user" }
        const later = {
          next: yield* ok(client.optimStep(model, 2)),
          gap: yield* ok(client.forwardBackward(model, 9)),
          unnumbered: yield* ok(client.forwardBackward(model)),
          invalid: yield* ok(client.forwardBackward(model, 11, []))
        }
        for (const [what, { request_id }] of Object.entries(later)) {
          assert.deepStrictEqual(yield* result(request_id), unloaded, what)
        }
        assert.deepStrictEqual(yield* ok(client.optimStep(model, 2)), later.next)
        assert.strictEqual((yield* engine.live).models, 1)
        yield* open
        assert.property(yield* result(pass.request_id), "metrics")
        assert.deepStrictEqual(yield* result(unload.request_id), { model_id: model, type: "unload_model" })
        assert.strictEqual((yield* engine.live).models, 0)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("unload a model when the wait for a missing operation before it has ended", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start({ gapTimeout: "10 seconds" })
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const behindGap = yield* ok(client.forwardBackward(model, 2))
        const unload = yield* ok(post("/unload_model", { model_id: model }))
        yield* TestClock.adjust("10 seconds")
        assert.include((yield* result(behindGap.request_id)).error, "seq_id 1 did not arrive")
        assert.property(yield* result(unload.request_id), "model_id")
        assert.strictEqual((yield* engine.live).models, 0)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("fail an unload that is queued when the session ends", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.startGated("forwardBackward")
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const model = yield* createModel(session_id)
        yield* ok(client.forwardBackward(model, 1))
        const unload = yield* ok(post("/unload_model", { model_id: model }))
        yield* post(`/sessions/${session_id}/finish`, { reason: { type: "success" } })
        assert.property(yield* result(unload.request_id), "error")
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
