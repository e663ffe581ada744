import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as client from "../../utils/client.ts"
import * as training from "../../utils/training.ts"

const { createModel, createSession, ok, post, result, run } = client

describe("saving weights", () => {
  it.scoped("replaces a checkpoint only with overwrite, and a retry returns the same future", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const save = { model_id: model, path: "a" }
        const first = yield* ok(post("/save_weights", { ...save, seq_id: 1 }))
        // also while the first save is pending
        const second = yield* post("/save_weights", { ...save, seq_id: 2 })
        assert.strictEqual(second.status, 409)
        assert.include(second.body.detail, `tinker://${model}/weights/a`)
        yield* result(first.request_id)
        assert.strictEqual((yield* post("/save_weights", { ...save, seq_id: 3 })).status, 409)
        assert.deepStrictEqual(yield* ok(post("/save_weights", { ...save, seq_id: 1 })), first)
        yield* training.train(model)
        const loss = yield* training.forward(model)
        yield* run("/save_weights", { ...save, overwrite: true })
        yield* training.train(model)
        yield* run("/load_weights", { model_id: model, path: `tinker://${model}/weights/a`, optimizer: true })
        assert.strictEqual(yield* training.forward(model), loss)
        // sampler weights of the same name are another checkpoint
        yield* run("/save_weights_for_sampler", save)
        assert.strictEqual((yield* post("/save_weights_for_sampler", save)).status, 409)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("accepts plain names only, and loading accepts only paths of training checkpoints", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const model = yield* createModel(session)
        for (const path of ["", ".", "..", "../x", "a/b", "a\\b", ".x", "a b", "x".repeat(256)]) {
          for (const endpoint of ["/save_weights", "/save_weights_for_sampler"]) {
            assert.strictEqual((yield* post(endpoint, { model_id: model, path })).status, 400, path)
          }
        }
        const load = (path: string) =>
          Effect.map(post("/load_weights", { model_id: model, path, optimizer: false }), ({ status }) => status)
        assert.strictEqual(yield* load("nowhere"), 400)
        assert.strictEqual(yield* load(`tinker://${model}/sampler_weights/x`), 400)
        assert.strictEqual(yield* load(`tinker://${model}/weights/x`), 404)
        assert.strictEqual(yield* load("tinker://../weights/x"), 404)
        const unnamed = yield* run("/save_weights", { model_id: model })
        assert.strictEqual(yield* load(unnamed.path), 200)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("frees the names of saves that never run, because an earlier request did not arrive", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ gapTimeout: "10 seconds" })
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const save = { model_id: model, path: "a" }
        const sampler = { model_id: model, sampling_session_seq_id: 7 }
        const pending = [
          yield* ok(post("/save_weights", { ...save, seq_id: 2 })),
          yield* ok(post("/save_weights_for_sampler", { ...save, seq_id: 3 })),
          yield* ok(post("/save_weights_for_sampler", { ...sampler, seq_id: 4 }))
        ]
        yield* TestClock.adjust("11 seconds")
        for (const { request_id } of pending) assert.include((yield* result(request_id)).error, "did not arrive")
        assert.include((yield* run("/save_weights", save)).path, "/weights/a")
        assert.include((yield* run("/save_weights_for_sampler", save)).path, "/sampler_weights/a")
        assert.include((yield* run("/save_weights_for_sampler", sampler)).sampling_session_id, ":sample:7")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("holds a name until the last of the saves that replace its checkpoint has run", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const save = { model_id: model, path: "a", overwrite: true }
        const first = yield* ok(post("/save_weights", { ...save, seq_id: 1 }))
        const third = yield* ok(post("/save_weights", { ...save, seq_id: 3 }))
        yield* result(first.request_id)
        const deleted = yield* client.del(`/training_runs/${model}/checkpoints/weights/a`)
        assert.strictEqual(deleted.status, 204)
        assert.strictEqual((yield* post("/save_weights", { model_id: model, path: "a", seq_id: 4 })).status, 409)
        yield* ok(client.forwardBackward(model, 2))
        assert.include((yield* result(third.request_id)).path, "/weights/a")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("keeps checkpoints in files after the service has stopped", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const service = InProcessHttpClient.layer().pipe(
        Layer.provide([TestEngine.layer(), CheckpointStore.layerFileSystem(directory)]),
        Layer.provide(Store.layerMemory)
      )
      const [path, loss] = yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        yield* training.train(model, 2)
        const saved = yield* run("/save_weights", { model_id: model, path: "kept" })
        return [saved.path as string, yield* training.forward(model)] as const
      }).pipe(Effect.provide(service))
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        assert.notStrictEqual(yield* training.forward(model), loss)
        yield* run("/load_weights", { model_id: model, path, optimizer: true })
        assert.strictEqual(yield* training.forward(model), loss)
      }).pipe(Effect.provide(service))
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
