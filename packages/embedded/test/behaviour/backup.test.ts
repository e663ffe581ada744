import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Embedded from "../../src/Embedded.ts"
import * as requests from "../utils/requests.ts"

const { createModel, createSession, del, get, ok, pass, run, step } = requests

const storesIn = (directory: string) =>
  ({
    store: Layer.fresh(Embedded.layerStore(directory)).pipe(Layer.provide(NodeContext.layer), Layer.orDie),
    checkpoints: Layer.fresh(CheckpointStore.layerFileSystem(directory)).pipe(Layer.provide(NodeContext.layer))
  }) as const

/** Trains without end, and notes what was acknowledged: saves, replacements and removals. */
const train = (model_id: string, saved: Set<string>) =>
  Effect.gen(function* () {
    let seq = 1
    for (let i = 0; ; i++) {
      yield* pass(model_id, seq++)
      yield* step(model_id, seq++)
      const { path } = yield* run("/save_weights", { model_id, seq_id: seq++, path: `step-${i}` })
      saved.add(path)
      yield* run("/save_weights", { model_id, seq_id: seq++, path: "latest", overwrite: true })
      saved.add(`tinker://${model_id}/weights/latest`)
      if (i < 3 || i % 3 !== 0) continue
      saved.delete(`tinker://${model_id}/weights/step-${i - 3}`)
      yield* ok(del(`/training_runs/${model_id}/checkpoints/weights/step-${i - 3}`))
    }
  }).pipe(Effect.forever)

describe("a backup", () => {
  it.scopedLive(
    "of a store into which a program saves has all that was acknowledged before, and no name without its files",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const root = yield* fs.makeTempDirectoryScoped()
        const [live, copy] = [`${root}/live`, `${root}/it's a copy`]
        const { before, model_id, session_id, upload } = yield* Effect.gen(function* () {
          const { layer } = yield* TestServer.make(storesIn(live))
          return yield* Effect.gen(function* () {
            const { session_id } = yield* createSession
            const { model_id } = yield* createModel(session_id, 0)
            const other = yield* createModel(session_id, 1)
            const { adapter, config } = yield* requests.saveFiles(other.model_id, 1)
            const upload = yield* ok(requests.startUpload)
            yield* requests.putFile(upload.urls[requests.adapterName], adapter)
            yield* requests.putFile(upload.urls[requests.configName], config)
            const saved = new Set<string>()
            const training = yield* Effect.fork(train(model_id, saved))
            yield* Effect.sleep(10).pipe(Effect.repeat({ until: () => saved.size >= 5 }))
            const before = new Set(saved)
            const copied = yield* Embedded.backup(live, copy)
            // The training may remove one of the five before they are copied.
            assert.isAtLeast(copied.checkpoints, 4)
            assert.isAbove(copied.bytes, 0)
            yield* Fiber.interrupt(training)
            for (const path of before) if (!saved.has(path)) before.delete(path)
            return { before, model_id, session_id, upload }
          }).pipe(Effect.provide(layer))
        }).pipe(Effect.scoped)
        yield* fs.remove(live, { recursive: true })
        assert.strictEqual((yield* fs.stat(copy)).mode & 0o077, 0)
        assert.deepStrictEqual(yield* fs.readDirectory(root), ["it's a copy"])
        const { checkpoints, store } = storesIn(copy)
        const { layer } = yield* TestServer.make({ checkpoints, store })
        yield* Effect.gen(function* () {
          const listed = (yield* ok(get("/checkpoints?limit=1000"))).checkpoints.map(
            ({ tinker_path }: requests.Json) => tinker_path as string
          )
          assert.isAtLeast(before.size, 3)
          for (const path of before) assert.include(listed, path)
          for (const path of listed as ReadonlyArray<string>) {
            if (TinkerPath.parse(path).pipe(Option.exists(({ kind }) => kind !== "weights"))) continue
            const load = { session_id, model_seq_id: 100 + listed.indexOf(path), path, optimizer: true }
            assert.notProperty(yield* run("/load_weights", { ...load, type: "load_weights" }), "error", path)
          }
          const { body } = yield* requests.post("/optim_step", { model_id, seq_id: 1000, adam_params: {} })
          assert.strictEqual(body.model_lost.model_id, model_id)
          assert.include(listed, body.model_lost.last_saved)
          const created = (yield* ok(get("/audit"))).entries.filter(
            ({ event }: requests.Json) => event === "checkpoint_created"
          )
          assert.isAtLeast(created.length, before.size)
          assert.include((yield* ok(requests.finishUpload(upload.upload_id))).tinker_path, "sampler_weights/uploaded")
        }).pipe(Effect.provide(layer))
      }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("needs a store to copy, and a new directory; what fails leaves nothing", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* fs.makeTempDirectoryScoped()
      yield* fs.makeDirectory(`${root}/empty`)
      assert.include(String(yield* Effect.flip(Embedded.backup(`${root}/empty`, `${root}/copy`))), "nothing to copy")
      yield* Effect.scoped(Layer.build(storesIn(`${root}/store`).store))
      assert.include(String(yield* Effect.flip(Embedded.backup(`${root}/store`, `${root}/empty`))), "new directory")
      yield* fs.makeDirectory(`${root}/broken`)
      yield* fs.writeFileString(`${root}/broken/tinker.db`, "no database".repeat(1000))
      assert.include(String(yield* Effect.flip(Embedded.backup(`${root}/broken`, `${root}/copy`))), "cannot be copied")
      assert.deepStrictEqual((yield* fs.readDirectory(root)).sort(), ["broken", "empty", "store"])
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
