import type * as FakeHub from "@effect-tinker/testing/FakeHub"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Hub from "../../src/Hub.ts"
import { advance, files, layer, makeHub, ref, urls, withCache } from "../utils/hub.ts"

/** Loads a model in a fiber of its own, as a process with nothing in memory would. */
const load = (hub: Pick<FakeHub.FakeHub, "layer">, options: Hub.Options) =>
  Effect.flatMap(Hub.Hub, ({ modelFiles }) => modelFiles(ref)).pipe(
    Effect.provide(layer(hub, options)),
    Effect.fork,
    Effect.flatMap(advance)
  )

const { "model.safetensors": weights, ...withoutWeights } = files

const index = (...shards: ReadonlyArray<string>) =>
  JSON.stringify({ weight_map: Object.fromEntries(shards.map((shard, i) => [`weight ${i}`, shard])) })

describe("The files of a model", () => {
  it.scoped("are downloaded once, and then need no hub", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const hub = yield* makeHub()
        const { directory } = yield* load(hub, { cache, token: hub.token })
        for (const name of ["config.json", "tokenizer.json", "model.safetensors"]) {
          assert.isTrue(yield* fs.exists(`${directory}/${name}`), name)
        }
        assert.strictEqual(yield* fs.readFileString(`${directory}/model.safetensors`), "large")
        yield* hub.clearRequests
        assert.strictEqual((yield* load(hub, { cache, offline: true })).directory, directory)
        assert.deepStrictEqual(yield* urls(hub), [])
      })
    )
  )

  it.scoped("are the shards of an index, where the weights are in several", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const shards = { "a.safetensors": weights!, "b.safetensors": "small" }
        const sharded = { ...withoutWeights, ...shards, "model.safetensors.index.json": index("a.safetensors", "b.safetensors") } // prettier-ignore
        const hub = yield* makeHub({ repositories: { "org/model": { files: sharded } } })
        const { directory } = yield* load(hub, { cache })
        assert.strictEqual(yield* fs.readFileString(`${directory}/a.safetensors`), "large")
        assert.strictEqual(yield* fs.readFileString(`${directory}/b.safetensors`), "small")
      })
    )
  )

  it.scoped("are refused where a repository has no weights, names files elsewhere, or nothing is cached", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const failure = (changed: FakeHub.Files, name: string, options: Partial<Hub.Options> = {}) =>
          Effect.gen(function* () {
            const hub = yield* makeHub({ repositories: { "org/model": { files: changed } } })
            return yield* Effect.flip(load(hub, { cache: `${cache}/${name}`, ...options }))
          })
        const none = yield* failure(withoutWeights, "none")
        assert.strictEqual(none.reason, "NotFound")
        assert.include(none.message, "it has no model.safetensors")
        const foreign = { ...withoutWeights, "model.safetensors.index.json": index("../../evil.safetensors") }
        assert.include((yield* failure(foreign, "foreign")).message, "../../evil.safetensors")
        assert.strictEqual((yield* failure(files, "offline", { offline: true })).reason, "NotCached")
      })
    )
  )
})
