import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../../utils/client.ts"
import * as training from "../../utils/training.ts"

const { createModel, createSession, run } = client

describe("loading weights", () => {
  it.scoped("restores a model, with or without the state of its optimizer", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const model = yield* createModel(session, 0)
        yield* training.train(model, 3)
        const saved = yield* run("/save_weights", { model_id: model, path: "third" })
        assert.deepStrictEqual(saved, { path: `tinker://${model}/weights/third`, type: "save_weights" })
        const loss = yield* training.forward(model)
        yield* training.train(model)
        const next = yield* training.forward(model)
        assert.isBelow(next, loss)

        const withOptimizer = yield* createModel(session, 1)
        const loaded = yield* run("/load_weights", { model_id: withOptimizer, path: saved.path, optimizer: true, seq_id: 1 })
        assert.deepStrictEqual(loaded, { path: saved.path, model_id: withOptimizer, type: "load_weights" })
        assert.strictEqual(yield* training.forward(withOptimizer), loss)
        yield* training.train(withOptimizer)
        assert.strictEqual(yield* training.forward(withOptimizer), next)

        const weights = yield* createModel(session, 2)
        yield* run("/load_weights", { model_id: weights, path: saved.path, optimizer: false })
        assert.strictEqual(yield* training.forward(weights), loss)
        yield* training.train(weights)
        assert.notStrictEqual(yield* training.forward(weights), next)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("fails if the checkpoint is of another base model or rank", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({}, { models: ["one", "two"] })
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const create = (model_seq_id: number, base_model: string, rank: number) =>
          run("/create_model", { session_id, model_seq_id, base_model, lora_config: { rank } })
        const { model_id } = yield* create(0, "one", 8)
        const { path } = yield* run("/save_weights", { model_id, path: "a" })
        for (const [seq, base, rank, why] of [
          [1, "two", 8, /base model one/],
          [2, "one", 4, /rank 8/]
        ] as const) {
          const other = yield* create(seq, base, rank)
          const failed = yield* run("/load_weights", { model_id: other.model_id, path, optimizer: false })
          assert.strictEqual(failed.category, "user")
          assert.match(failed.error, why)
        }
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("is rejected for a model that was used, if the service is strict", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start({ strictLoad: true })
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const model = yield* createModel(session, 0)
        const { path } = yield* run("/save_weights", { model_id: model, path: "a", seq_id: 1 })
        const load = (model_id: string, seq_id?: number) =>
          client.post("/load_weights", { model_id, path, optimizer: false, seq_id })
        for (const seq_id of [2, undefined]) {
          const { body, status } = yield* load(model, seq_id)
          assert.strictEqual(status, 400)
          assert.include(body.detail, "LoadWeights is not permitted with seq_id")
        }
        // the rejected request has used up its number
        assert.strictEqual(yield* client.statusOf(client.optimStep(model, 3)), 200)
        // the one that had none has used up none
        assert.isNumber(yield* training.forward(model))
        const fresh = yield* createModel(session, 1)
        const { request_id } = yield* client.ok(load(fresh, 1))
        assert.propertyVal(yield* client.result(request_id), "path", path)
      }).pipe(Effect.provide(layer))
      assert.strictEqual(client.names(yield* engine.operations).filter((name) => name === "load").length, 1)
    })
  )

  it.scoped("accepts the path of a save that is queued before it, of the same model only", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const [model, other] = [yield* createModel(session, 0), yield* createModel(session, 1)]
        const load = (run: string, name: string, seq_id: number) =>
          client.post("/load_weights", {
            model_id: model,
            path: `tinker://${run}/weights/${name}`,
            optimizer: true,
            seq_id
          })
        // the first operation is missing, so that the save waits
        yield* client.ok(client.post("/save_weights", { model_id: model, path: "a", seq_id: 2 }))
        const queued = yield* client.ok(load(model, "a", 3))
        for (const [run, name, seq_id] of [
          [model, "b", 4],
          [other, "a", 5]
        ] as const) {
          const { body, status } = yield* load(run, name, seq_id)
          assert.strictEqual(status, 404)
          assert.include(body.detail, `tinker://${run}/weights/${name}`)
        }
        yield* client.ok(client.forwardBackward(model, 1))
        assert.propertyVal(yield* client.result(queued.request_id), "path", `tinker://${model}/weights/a`)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("runs once for each seq_id, which no other path and no other choice of the optimizer can use", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const saved = yield* createModel(session, 0)
        const paths = [
          (yield* run("/save_weights", { model_id: saved, path: "a" })).path,
          (yield* run("/save_weights", { model_id: saved, path: "b" })).path
        ]
        const model = yield* createModel(session, 1)
        const load = (path: string, optimizer: boolean) =>
          client.post("/load_weights", { model_id: model, path, optimizer, seq_id: 1 })
        const first = yield* client.ok(load(paths[0], true))
        assert.deepStrictEqual(yield* client.ok(load(paths[0], true)), first)
        assert.strictEqual(yield* client.statusOf(load(paths[1], true)), 409)
        assert.strictEqual(yield* client.statusOf(load(paths[0], false)), 409)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("says what is wrong with a path", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession, 0)
        for (const [path, why] of [
          ["/tmp/a", 'path "/tmp/a" is not a checkpoint path'],
          [`tinker://${model}/sampler_weights/a`, "is not a training checkpoint: pass the path that save_weights returned"]
        ] as const) {
          const { body, status } = yield* client.post("/load_weights", { model_id: model, path, optimizer: false })
          assert.strictEqual(status, 400)
          assert.include(body.detail, why)
        }
      }).pipe(Effect.provide(layer))
    })
  )
})
