import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as client from "../utils/client.ts"
import * as powerCut from "../utils/powerCut.ts"

const { ok, post, put, run } = client

/** A service that stores its checkpoints in the directory `store/deep` of a new directory. */
const start = (services: Layer.Layer<FileSystem.FileSystem | NodeContext.NodeContext> = NodeContext.layer) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const parent = yield* fs.makeTempDirectoryScoped()
    const root = `${parent}/store/deep`
    const checkpoints = CheckpointStore.layerFileSystem(root).pipe(Layer.provide(services))
    const { layer } = yield* TestServer.make({ checkpoints })
    return { fs, layer, parent, root }
  })

const directoryOf = (root: string, path: string) => {
  const [run, kind, name] = path.slice("tinker://".length).split("/")
  return `${root}/${encodeURIComponent(run!)}/${kind}/${name}`
}

/** Flips one bit of a file. Its size and its header stay as they are. */
const flipBit = (fs: FileSystem.FileSystem, file: string) =>
  Effect.gen(function* () {
    const bytes = yield* fs.readFile(file)
    bytes[bytes.length - 1]! ^= 1
    yield* fs.writeFile(file, bytes)
  })

/** A save by a model of another session: it removes what has expired. */
const saveByAnother = Effect.gen(function* () {
  const model_id = yield* client.createModel(yield* client.createSession)
  return yield* run("/save_weights", { model_id, path: "next" })
})

describe("the files of a checkpoint", () => {
  it.scoped("are not used when one bit of them is wrong", () =>
    Effect.gen(function* () {
      const { fs, layer, root } = yield* start()
      yield* Effect.gen(function* () {
        const session_id = yield* client.createSession
        const model_id = yield* client.createModel(session_id)
        yield* ok(client.forwardBackward(model_id))
        yield* ok(client.optimStep(model_id))
        const { path } = yield* run("/save_weights", { model_id, path: "a" })
        const { path: sampler } = yield* run("/save_weights_for_sampler", { model_id, path: "s" })
        const load = (optimizer: boolean) => run("/load_weights", { model_id, path, optimizer })
        const copied = client.statusOf(post("/copy_weights", { source_path: path, destination_project_id: "p" }))
        assert.strictEqual((yield* load(true)).path, path)
        for (const file of ["adapter_model.safetensors", "optimizer.safetensors"]) {
          const name = `${directoryOf(root, path)}/${file}`
          yield* flipBit(fs, name)
          const failed = yield* load(true)
          assert.strictEqual(failed.category, "server")
          assert.include(failed.error, `${file} is damaged: it does not match its checksum`)
          assert.strictEqual(yield* copied, 500)
          yield* flipBit(fs, name)
          assert.strictEqual((yield* load(true)).path, path)
        }
        yield* flipBit(fs, `${directoryOf(root, sampler)}/adapter_model.safetensors`)
        const prompt = { chunks: [{ type: "encoded_text", tokens: [1] }] }
        const sampled = yield* run("/asample", { model_path: sampler, num_samples: 1, prompt, sampling_params: {} })
        assert.include(sampled.error, "is damaged")
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("are removed from the disk after it has expired", () =>
    Effect.gen(function* () {
      const { fs, layer, root } = yield* start()
      yield* Effect.gen(function* () {
        const model_id = yield* client.createModel(yield* client.createSession)
        const saved = yield* run("/save_weights", { model_id, path: "short", ttl_seconds: 60 })
        const sampler = yield* run("/save_weights_for_sampler", { model_id, path: "short", ttl_seconds: 60 })
        const kept = yield* run("/save_weights", { model_id, path: "long", ttl_seconds: 86_400 })
        const changed = yield* run("/save_weights", { model_id, path: "changed", ttl_seconds: 60 })
        const url = `/training_runs/${model_id}/checkpoints/weights/changed/ttl`
        assert.strictEqual(yield* client.statusOf(put(url, { ttl_seconds: null })), 204)
        const isThere = (path: string) => fs.exists(directoryOf(root, path))
        assert.isTrue(yield* isThere(saved.path))
        yield* TestClock.adjust("61 minutes")
        const { path } = yield* saveByAnother
        assert.isFalse(yield* isThere(saved.path))
        assert.isFalse(yield* isThere(sampler.path))
        for (const live of [kept.path, changed.path, path]) assert.isTrue(yield* isThere(live), live)
        assert.deepStrictEqual(
          (yield* fs.readDirectory(root)).filter((name) => name.startsWith(".")),
          []
        )
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("are synced before a change is acknowledged, with every directory that names them", () =>
    Effect.gen(function* () {
      const unsynced: powerCut.Unsynced = { paths: new Set(), movedTooEarly: [] }
      const { layer, parent } = yield* start(powerCut.layer(unsynced))
      yield* Effect.gen(function* () {
        const model_id = yield* client.createModel(yield* client.createSession)
        const url = `/training_runs/${model_id}/checkpoints/weights/a`
        const source_path = `tinker://${model_id}/weights/a`
        const changes = {
          "a save": run("/save_weights", { model_id, path: "a" }),
          "a save that replaces it": run("/save_weights", { model_id, path: "a", overwrite: true }),
          "a save for sampling": run("/save_weights_for_sampler", { model_id, path: "s", ttl_seconds: 60 }),
          "a copy": ok(post("/copy_weights", { source_path, destination_project_id: "p" })),
          "a publication": post(`${url}/publish`, {}),
          "an expiry": put(`${url}/ttl`, { ttl_seconds: 60 }),
          "a deletion": client.del(url),
          "the removal of what has expired": Effect.zipRight(TestClock.adjust("61 minutes"), saveByAnother)
        }
        for (const [what, change] of Object.entries(changes)) {
          yield* change
          assert.deepStrictEqual(powerCut.lostBelow(unsynced, parent), [], what)
          assert.deepStrictEqual(unsynced.movedTooEarly, [], what)
        }
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
