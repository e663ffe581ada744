import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Store from "@effect-tinker/server/Store"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as TestClock from "effect/TestClock"
import * as CheckpointStore from "../src/CheckpointStore.ts"
import type * as Engine from "../src/Engine.ts"
import * as SafeTensors from "../src/SafeTensors.ts"
import { collect } from "./utils/garbage.ts"

const name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"

const adapterOf = (value: number): Engine.Adapter => ({
  base_model: "effect-tinker/test",
  lora_config: { rank: 2, train_unembed: false, train_mlp: true, train_attn: true },
  lora_alpha: 32,
  weights: { [name]: { shape: [1, 2], data: Float32Array.of(value, -value) } }
})

const optimizer: Engine.OptimizerState = {
  step: 3,
  first: { [name]: Float32Array.of(1, 2) },
  second: { [name]: Float32Array.of(3, 4) }
}

const path = { training_run_id: "s:train:0", kind: "weights", name: "one" } as const
const sampler = { training_run_id: "s:train:0", kind: "sampler_weights", name: "one" } as const

/** What both stores guarantee. */
const checkGuarantees = <E, R>(make: Effect.Effect<CheckpointStore.Service, E, R>) =>
  Effect.gen(function* () {
    const store = yield* make
    const adapter = adapterOf(1)
    const saved = yield* store.save({ path, adapter, optimizer, user_metadata: { a: "b" } })
    assert.strictEqual(saved.size_bytes, 24)
    yield* TestClock.adjust("1 seconds")
    yield* store.save({ path: sampler, adapter: adapterOf(2) })

    // changes of the saved or of a loaded adapter do not change the checkpoint
    adapter.weights[name]!.data[0] = 99
    const first = yield* store.load(path)
    first.adapter.weights[name]!.data[0] = 98
    const second = yield* store.load(path)
    assert.deepStrictEqual(second.adapter, adapterOf(1))
    assert.deepStrictEqual(second.optimizer, optimizer)
    assert.deepStrictEqual(second.info, saved)
    assert.strictEqual((yield* store.load(sampler)).optimizer, undefined)

    assert.deepStrictEqual(
      (yield* store.list).map((info) => [info.kind, info.created_at]),
      [
        ["sampler_weights", 1000],
        ["weights", 0]
      ]
    )

    // properties that a change does not have stay as they are
    const published = yield* store.update(path, { public: true, expires_at: 5000 })
    assert.deepStrictEqual(published, { ...saved, public: true, expires_at: 5000 })
    assert.deepStrictEqual(yield* store.update(path, { public: false }), { ...saved, expires_at: 5000 })
    assert.deepStrictEqual(yield* store.update(path, { expires_at: undefined }), saved)
    assert.deepStrictEqual(yield* store.info(path), saved)

    const exists = yield* Effect.flip(store.save({ path, adapter: adapterOf(5) }))
    assert.strictEqual(exists._tag, "CheckpointExists")
    assert.deepStrictEqual((yield* store.load(path)).adapter, adapterOf(1))
    yield* store.save({ path, adapter: adapterOf(5), overwrite: true, ttl_seconds: 60 })
    const replaced = yield* store.load(path)
    assert.deepStrictEqual(replaced.adapter, adapterOf(5))
    assert.strictEqual(replaced.optimizer, undefined)

    yield* TestClock.adjust("60 seconds")
    assert.strictEqual((yield* Effect.flip(store.load(path)))._tag, "CheckpointNotFound")
    assert.strictEqual((yield* store.list).length, 1)
    yield* store.save({ path, adapter: adapterOf(6) })
    assert.deepStrictEqual((yield* store.load(path)).adapter, adapterOf(6))

    yield* store.remove(path)
    assert.strictEqual((yield* Effect.flip(store.info(path)))._tag, "CheckpointNotFound")
    assert.strictEqual((yield* Effect.flip(store.remove(path)))._tag, "CheckpointNotFound")
  })

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

/** An adapter of 8 MiB. */
const largeAdapter = (): Engine.Adapter => ({
  ...adapterOf(1),
  weights: { [name]: { shape: [2 ** 20, 2], data: new Float32Array(2 ** 21) } }
})

// the sweeper frees buffers in the background
const collectAll = Effect.promise(() => new Promise((resolve) => setImmediate(resolve))).pipe(
  Effect.andThen(Effect.sync(collect)),
  Effect.repeatN(2)
)

/** How many MiB the weights in memory take. */
const bufferMebibytes = Effect.map(collectAll, () => process.memoryUsage().arrayBuffers / 2 ** 20)

describe("CheckpointStore", () => {
  it.effect("drops the weights in memory that have expired", () =>
    Effect.gen(function* () {
      const store = yield* CheckpointStore.makeMemory
      const saveAll = Effect.forEach(["a", "b", "c", "d"], (name) =>
        store.save({ path: { ...path, name }, adapter: largeAdapter(), ttl_seconds: 60 })
      )
      const before = yield* bufferMebibytes
      const uses = {
        "a save": store.save({ path: sampler, adapter: adapterOf(1), overwrite: true }),
        "a list": store.list
      }
      for (const [what, use] of Object.entries(uses)) {
        yield* saveAll
        assert.isAtLeast((yield* bufferMebibytes) - before, 24)
        yield* TestClock.adjust("60 seconds")
        yield* use
        assert.isAtMost((yield* bufferMebibytes) - before, 8, what)
      }
    })
  )

  it.effect("stores snapshots in memory", () => checkGuarantees(CheckpointStore.makeMemory))

  it.scoped("stores snapshots in files", () =>
    Effect.flatMap(temporary, (directory) => checkGuarantees(CheckpointStore.makeFileSystem(directory))).pipe(
      Effect.provide([NodeContext.layer, Store.layerMemory])
    )
  )

  it.scoped("writes files that PEFT reads, and leaves no others behind", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { join } = yield* Path.Path
      const directory = yield* temporary
      const store = yield* CheckpointStore.makeFileSystem(join(directory, "deep", "down"))
      yield* store.save({ path, adapter: adapterOf(1), optimizer })
      yield* store.save({ path, adapter: adapterOf(2), optimizer, overwrite: true })
      const root = join(directory, "deep", "down")
      assert.deepStrictEqual(yield* fs.readDirectory(root), ["s%3Atrain%3A0"])
      const place = join(root, "s%3Atrain%3A0", "weights", "one")
      assert.deepStrictEqual((yield* fs.readDirectory(place)).sort(), [
        "adapter_config.json",
        "adapter_model.safetensors",
        "checkpoint.json",
        "optimizer.safetensors"
      ])
      for (const [path, mode] of [
        [root, 0o700],
        [join(place, ".."), 0o700],
        [place, 0o700],
        [join(place, "adapter_model.safetensors"), 0o600],
        [join(place, "adapter_config.json"), 0o600]
      ] as const) {
        assert.strictEqual((yield* fs.stat(path)).mode & 0o777, mode, path)
      }
      const config = JSON.parse(yield* fs.readFileString(join(place, "adapter_config.json")))
      assert.strictEqual(config.peft_type, "LORA")
      assert.strictEqual(config.r, 2)
      assert.deepStrictEqual(config.target_modules, ["q_proj"])
      const { tensors } = Either.getOrThrow(
        SafeTensors.decode(yield* fs.readFile(join(place, "adapter_model.safetensors")))
      )
      assert.deepStrictEqual(tensors, adapterOf(2).weights)
    }).pipe(Effect.provide([NodeContext.layer, Store.layerMemory]))
  )

  it.scoped("keeps the previous checkpoint, and no temporary files, when a save fails", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporary
      let broken = ""
      const fragile = {
        ...fs,
        open: (file: string, options?: FileSystem.OpenFileOptions) =>
          broken !== "" && file.endsWith(broken) ? fs.open("/nowhere/at/all") : fs.open(file, options),
        rename: (from: string, to: string) =>
          broken === "rename" && from.endsWith("new") ? Effect.asVoid(fs.readFile("/nowhere")) : fs.rename(from, to)
      }
      const store = yield* CheckpointStore.makeFileSystem(directory).pipe(
        Effect.provideService(FileSystem.FileSystem, fragile)
      )
      yield* store.save({ path, adapter: adapterOf(1) })
      for (broken of ["adapter_config.json", "rename"]) {
        const error = yield* Effect.flip(store.save({ path, adapter: adapterOf(2), overwrite: true }))
        assert.strictEqual(error._tag, "CheckpointStoreError")
        assert.deepStrictEqual((yield* store.load(path)).adapter, adapterOf(1))
        const missing = yield* Effect.flip(store.save({ path: sampler, adapter: adapterOf(2) }))
        assert.strictEqual(missing._tag, "CheckpointStoreError")
        assert.strictEqual((yield* Effect.flip(store.load(sampler)))._tag, "CheckpointNotFound")
        assert.deepStrictEqual(yield* fs.readDirectory(directory), ["s%3Atrain%3A0"])
      }
    }).pipe(Effect.provide([NodeContext.layer, Store.layerMemory]))
  )

  it.scoped("never reads or writes outside its directory", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { join } = yield* Path.Path
      const directory = yield* temporary
      const inside = join(directory, "a", "store")
      const store = yield* CheckpointStore.makeFileSystem(inside)
      yield* store.save({ path, adapter: adapterOf(1) })
      // a checkpoint outside of the store
      yield* fs.copy(join(inside, "s%3Atrain%3A0"), join(directory, "a", "out"))
      const before = yield* fs.readDirectory(directory, { recursive: true })
      for (const training_run_id of ["..", "../out", "..%2Fout", "/etc", "", ".", "s:train:0/..", "a\\b", "a\0b"]) {
        for (const name of ["one", "../one", "..", ".hidden", "a/b", ""]) {
          const tricky = { training_run_id, kind: "weights", name } as const
          assert.strictEqual((yield* Effect.flip(store.load(tricky)))._tag, "CheckpointNotFound")
          assert.strictEqual((yield* Effect.flip(store.remove(tricky)))._tag, "CheckpointNotFound")
          const error = yield* Effect.flip(store.save({ path: tricky, adapter: adapterOf(1), overwrite: true }))
          assert.strictEqual(error._tag, "CheckpointStoreError")
        }
      }
      assert.deepStrictEqual(yield* fs.readDirectory(directory, { recursive: true }), before)
    }).pipe(Effect.provide([NodeContext.layer, Store.layerMemory]))
  )

  it.scoped("reports damaged files", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { join } = yield* Path.Path
      const directory = yield* temporary
      const store = yield* CheckpointStore.makeFileSystem(directory)
      yield* store.save({ path, adapter: adapterOf(1) })
      const place = join(directory, "s%3Atrain%3A0", "weights", "one")
      yield* fs.writeFileString(join(place, "adapter_model.safetensors"), "short")
      assert.match(
        (yield* Effect.flip(store.load(path))).message,
        /adapter_model.safetensors is damaged: it does not match its checksum/
      )
      yield* fs.writeFileString(join(place, "checkpoint.json"), "{}")
      assert.strictEqual((yield* Effect.flip(store.load(path)))._tag, "CheckpointStoreError")
      // its record is not damaged
      assert.deepStrictEqual(
        (yield* store.list).map(({ name }) => name),
        [path.name]
      )
    }).pipe(Effect.provide([NodeContext.layer, Store.layerMemory]))
  )
})
