import * as FakeHub from "@effect-tinker/testing/FakeHub"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import { createHash } from "node:crypto"
import * as Hub from "../../src/Hub.ts"
import { advance, files, layer, makeHub, ref, tokenizerJson, urls, withCache } from "../utils/hub.ts"

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

const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** A repository whose weights are three megabytes, which arrive in parts. */
const megabyte = 2 ** 20
const large = Uint8Array.from({ length: 3 * megabyte }, (_, i) => (i * i) >> 3)
const withLarge = {
  repositories: {
    "org/model": { files: { ...withoutWeights, "model.safetensors": { content: large, large: true } } }
  }
}

/** Whether a request is one for the weights. */
const isForLarge = ({ file, kind }: Pick<FakeHub.Recorded, "file" | "kind">): boolean =>
  kind === "storage" && file !== sha256(tokenizerJson)

/** The ranges of bytes of the weights that the storage host was asked for. */
const rangesOf = (hub: FakeHub.FakeHub) =>
  Effect.map(hub.requests, (requests) => requests.filter(isForLarge).map(({ headers }) => headers["range"]))

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

  it.scoped("continue where a connection was cut, and tell how much has arrived", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const logged: Array<string> = []
        const logger = Logger.make(({ message }) => void logged.push(String(message)))
        const hub = yield* makeHub({
          ...withLarge,
          fault: (request) => (isForLarge(request) && request.count <= 2 ? FakeHub.cutAfter(megabyte) : undefined)
        })
        const { directory } = yield* load(hub, { cache }).pipe(
          Effect.provide(Logger.replace(Logger.defaultLogger, logger))
        )
        assert.deepStrictEqual(yield* fs.readFile(`${directory}/model.safetensors`), large)
        const last = large.length - 1
        assert.deepStrictEqual(yield* rangesOf(hub), [undefined, `bytes=${megabyte}-${last}`, `bytes=${2 * megabyte}-${last}`]) // prettier-ignore
        assert.include(logged, "org/model: 30 % of model.safetensors (3.1 MB)")
        assert.include(logged, "org/model: 60 % of model.safetensors (3.1 MB)")
      })
    )
  )

  it.scoped("continue what another process left, once it does not write any more, and check all of it", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const blobs = `${cache}/models--org--model/blobs`
        yield* fs.makeDirectory(blobs, { recursive: true })
        const left = (name: string, bytes: Uint8Array, seconds: number) =>
          Effect.andThen(
            fs.writeFile(`${blobs}/${sha256(large)}.${name}.incomplete`, bytes),
            fs.utimes(`${blobs}/${sha256(large)}.${name}.incomplete`, seconds, seconds)
          )
        yield* TestClock.setTime(10_000_000)
        yield* left("a", large.subarray(0, 2 * megabyte), 9990)
        yield* left("b", new Uint8Array(megabyte), 9000)
        const hub = yield* makeHub(withLarge)
        const { directory } = yield* load(hub, { cache })
        assert.deepStrictEqual(yield* fs.readFile(`${directory}/model.safetensors`), large)
        // the part of a process that may still run is not touched; the other one was damaged
        assert.deepStrictEqual(yield* rangesOf(hub), [`bytes=${megabyte}-${large.length - 1}`, undefined])
        const incomplete = (yield* fs.readDirectory(blobs)).filter((name) => name.endsWith(".incomplete"))
        assert.deepStrictEqual(incomplete, [`${sha256(large)}.a.incomplete`])
      })
    )
  )

  it.scoped("are refused where their content is not the announced one, and nothing of it is kept", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const hub = yield* makeHub({
          ...withLarge,
          fault: (request) => (isForLarge(request) ? FakeHub.corrupt : undefined)
        })
        const error = yield* Effect.flip(load(hub, { cache }))
        assert.strictEqual(error.reason, "Corrupt")
        assert.include(error.message, "model.safetensors does not match the hash")
        const names = yield* fs.readDirectory(`${cache}/models--org--model/blobs`)
        assert.deepStrictEqual(
          names.filter((name) => name.includes(sha256(large))),
          []
        )
      })
    )
  )
})
