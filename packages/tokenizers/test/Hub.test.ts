import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as Hub from "../src/Hub.ts"
import * as fakeHub from "./utils/hub.ts"

const files = {
  "config.json": { content: "{}" },
  "tokenizer_config.json": { content: '{"eos_token": "</s>"}' },
  "tokenizer.json": { content: `{"model": ${JSON.stringify("ü".repeat(1000))}}`, large: true },
  "../../evil.json": { content: "{}" },
  "model.safetensors": { content: "large", large: true }
}

const ref = { repo: "org/model" }

const withCache = <A, E>(
  run: (cache: string) => Effect.Effect<A, E, FileSystem.FileSystem | NodeContext.NodeContext>
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* run(yield* fs.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeContext.layer))

const layer = (hub: ReturnType<typeof fakeHub.make>, options: Hub.Options) =>
  Hub.layer({ endpoint: fakeHub.endpoint, ...options }).pipe(Layer.provide([hub.layer, NodeContext.layer]))

/** Loads the files in a fiber of its own, and moves the clock until it is done. */
const load = (hub: ReturnType<typeof fakeHub.make>, options: Hub.Options, wanted: Hub.Ref = ref) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.flatMap(Hub.Hub, (service) => service.tokenizerFiles(wanted)).pipe(
      Effect.provide(layer(hub, options)),
      Effect.fork
    )
    // The disk works in real time, between the steps of the clock.
    while ((yield* Fiber.status(fiber))._tag !== "Done") {
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("1 second")
    }
    return yield* Fiber.join(fiber)
  })

const names = (hub: ReturnType<typeof fakeHub.make>) => hub.requests.map(({ url }) => url.replace(/^https:\/\//, ""))

describe("Hub", () => {
  it.scoped("downloads the files of a tokenizer once, into the cache of the Python libraries", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const hub = fakeHub.make({ files })
        const { commit, directory } = yield* load(hub, { cache, token: Redacted.make("hf_secret") })
        assert.strictEqual(commit, fakeHub.commit)
        assert.strictEqual(directory, `${cache}/models--org--model/snapshots/${commit}`)
        assert.deepStrictEqual((yield* fs.readDirectory(directory)).sort(), ["tokenizer.json", "tokenizer_config.json"])
        assert.strictEqual(yield* fs.readFileString(`${directory}/tokenizer.json`), files["tokenizer.json"].content)
        assert.strictEqual(yield* fs.readFileString(`${cache}/models--org--model/refs/main`), commit)
        const blobs = yield* fs.readDirectory(`${cache}/models--org--model/blobs`)
        // huggingface_hub names large files by their SHA-256, and others by their git blob id.
        assert.deepStrictEqual(blobs.map((name) => name.length).sort(), [40, 64])
        assert.match(yield* fs.readLink(`${directory}/tokenizer.json`), /^\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/)
        assert.deepStrictEqual(names(hub), [
          "hub.test/api/models/org/model/revision/main?blobs=true",
          `hub.test/org/model/resolve/${commit}/tokenizer_config.json`,
          `hub.test/org/model/resolve/${commit}/tokenizer.json`,
          "storage.test/tokenizer.json?signature=x"
        ])
        // Only the hub receives the token, and no request carries a trace id.
        assert.deepStrictEqual(
          hub.requests.map(({ authorization }) => authorization),
          ["Bearer hf_secret", "Bearer hf_secret", "Bearer hf_secret", undefined]
        )
        assert.isFalse(hub.requests.some(({ headers }) => headers.includes("traceparent") || headers.includes("b3")))
        hub.requests.length = 0
        yield* load(hub, { cache })
        assert.deepStrictEqual(names(hub), ["hub.test/api/models/org/model/revision/main?blobs=true"])
        // A commit never changes, so no request is sent.
        yield* load(hub, { cache }, { repo: "org/model", revision: commit })
        assert.strictEqual(hub.requests.length, 1)
      })
    )
  )

  it.scoped("accepts a revision, and finds a downloaded one while offline", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const hub = fakeHub.make({ files })
        const wanted = { repo: "org/model", revision: "refs/pr/7" }
        const missing = yield* Effect.flip(load(hub, { cache, offline: true }, wanted))
        assert.strictEqual(missing.reason, "NotCached")
        assert.match(missing.message, /org\/model at refs\/pr\/7: .* unset HF_HUB_OFFLINE/)
        const fetched = yield* load(hub, { cache }, wanted)
        assert.strictEqual(names(hub)[0], "hub.test/api/models/org/model/revision/refs%2Fpr%2F7?blobs=true")
        hub.requests.length = 0
        assert.deepStrictEqual(yield* load(hub, { cache, offline: true }, wanted), fetched)
        assert.strictEqual((yield* Effect.flip(load(hub, { cache, offline: true }))).reason, "NotCached")
        assert.deepStrictEqual(hub.requests, [])
      })
    )
  )

  it.scoped("uses the cache when the hub cannot be reached, and fails without a cached revision", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const unreachable = fakeHub.make({ files, instead: () => "lost" })
        const error = yield* Effect.flip(load(unreachable, { cache, token: Redacted.make("hf_secret") }))
        assert.strictEqual(error.reason, "Unreachable")
        assert.isTrue(error.isRetryable)
        assert.include(error.message, "https://hub.test cannot be reached: ECONNRESET")
        assert.strictEqual(unreachable.requests.length, 5)
        assert.notInclude(JSON.stringify(error), "hf_secret")
        const fetched = yield* load(fakeHub.make({ files }), { cache })
        unreachable.requests.length = 0
        assert.deepStrictEqual(yield* load(unreachable, { cache }), fetched)
        assert.strictEqual(unreachable.requests.length, 1)
      })
    )
  )

  it.scoped("retries transient failures, and stores no file that does not match the announced hash", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const hub = fakeHub.make({
          files,
          instead: ({ count, url }) => {
            if (url.includes("/api/")) return count === 1 ? { status: 503 } : count === 2 ? "lost" : undefined
            return url.includes("storage.test") && count === 1 ? "cut" : undefined
          }
        })
        const { directory } = yield* load(hub, { cache })
        assert.strictEqual(yield* fs.readFileString(`${directory}/tokenizer.json`), files["tokenizer.json"].content)

        const corrupting = fakeHub.make({
          files,
          instead: ({ url }) => (url.includes("tokenizer_config.json") ? "cut" : undefined)
        })
        const other = `${cache}/other`
        const error = yield* Effect.flip(load(corrupting, { cache: other }))
        assert.strictEqual(error.reason, "Corrupt")
        assert.include(error.message, "tokenizer_config.json does not match the hash")
        assert.isFalse(yield* fs.exists(`${other}/models--org--model/blobs`))
      })
    )
  )

  it.scoped("shares one download among concurrent callers, even if the first of them is interrupted", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const hub = fakeHub.make({ files, gate })
        yield* Effect.gen(function* () {
          const { tokenizerFiles } = yield* Hub.Hub
          const first = yield* Effect.fork(tokenizerFiles(ref))
          const others = yield* Effect.fork(
            Effect.all(
              Array.from({ length: 10 }, () => tokenizerFiles(ref)),
              { concurrency: "unbounded" }
            )
          )
          while (hub.requests.length === 0) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
          yield* Fiber.interrupt(first)
          yield* Deferred.succeed(gate, undefined)
          const all = yield* Fiber.join(others)
          assert.strictEqual(new Set(all.map(({ directory }) => directory)).size, 1)
          assert.strictEqual(hub.requests.length, 4)
        }).pipe(Effect.provide(layer(hub, { cache })))
      })
    )
  )

  it.scoped("allows several processes to write the same files at once", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const all = yield* Effect.all(
          Array.from({ length: 8 }, () => load(fakeHub.make({ files }), { cache })),
          { concurrency: "unbounded" }
        )
        const { directory } = all[0]!
        assert.strictEqual(yield* fs.readFileString(`${directory}/tokenizer.json`), files["tokenizer.json"].content)
        const left = yield* fs.readDirectory(cache, { recursive: true })
        assert.deepStrictEqual(
          left.filter((name) => name.endsWith(".incomplete")),
          []
        )
      })
    )
  )

  it.scoped("explains what to do about each failed response", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const respondWith = (
          status: number,
          headers: Record<string, string> = {},
          token?: Redacted.Redacted,
          wanted = ref
        ) =>
          Effect.flip(
            load(
              fakeHub.make({ files, instead: () => ({ status, headers }) }),
              { cache, ...(token && { token }) },
              wanted
            )
          )
        const anonymous = yield* respondWith(401, { "x-request-id": "Root=1" })
        assert.strictEqual(anonymous.reason, "Unauthorized")
        assert.match(anonymous.message, /check the name, or set HF_TOKEN \(request Root=1\)$/)
        assert.match((yield* respondWith(401, {}, Redacted.make("x"))).message, /check that HF_TOKEN is valid/)
        const gated = yield* respondWith(403, { "x-error-code": "GatedRepo" })
        assert.strictEqual(gated.reason, "Gated")
        assert.include(gated.message, "request access at https://hub.test/org/model")
        assert.isFalse(gated.isRetryable)
        assert.strictEqual((yield* respondWith(404)).reason, "NotFound")
        assert.deepInclude(yield* respondWith(500), { reason: "Unreachable", status: 500 })
        assert.include((yield* respondWith(302, { location: "http://plain.test/" })).message, "not encrypted")
        assert.include((yield* respondWith(302, { location: "https://hub.test/again" })).message, "too often")
        assert.strictEqual(
          (yield* respondWith(200)).detail,
          `${fakeHub.endpoint} does not respond like a Hugging Face hub: check HF_ENDPOINT`
        )
        for (const repo of ["../x", "a/b/c", "a/..", "", "a b"]) {
          assert.include((yield* respondWith(500, {}, undefined, { repo })).message, "not the name of a repository")
        }
        const file = `${cache}/file`
        yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFileString(file, ""))
        const blocked = yield* Effect.flip(load(fakeHub.make({ files }), { cache: file }))
        assert.strictEqual(blocked.reason, "Cache")
        assert.include(blocked.message, "Set HF_HUB_CACHE")
      })
    )
  )

  it.scoped("reads its options from the environment", () =>
    withCache((directory) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const settings = (env: Record<string, string>, options?: Partial<Hub.Options>) =>
          Effect.withConfigProvider(Hub.fromConfig(options), ConfigProvider.fromMap(new Map(Object.entries(env))))
        assert.deepStrictEqual(yield* settings({ HOME: "/h" }), {
          cache: "/h/.cache/huggingface/hub",
          token: undefined,
          endpoint: undefined,
          offline: false
        })
        assert.strictEqual((yield* settings({ HOME: "/h", XDG_CACHE_HOME: "/x" })).cache, "/x/huggingface/hub")
        assert.strictEqual((yield* settings({ HOME: "/h", HF_HOME: "~/hf" })).cache, "/h/hf/hub")
        const all = yield* settings({
          HF_HOME: "/hf",
          HF_HUB_CACHE: "/hub",
          HF_TOKEN: " hf_1\n",
          HF_ENDPOINT: "https://mirror",
          HF_HUB_OFFLINE: "YES"
        })
        assert.strictEqual(Redacted.value(all.token!), "hf_1")
        assert.deepInclude(all, { cache: "/hub", endpoint: "https://mirror", offline: true })
        assert.notInclude(JSON.stringify(all), "hf_1")
        yield* fs.writeFileString(`${directory}/token`, "hf_2\n")
        assert.strictEqual(Redacted.value((yield* settings({ HF_HOME: directory })).token!), "hf_2")
        assert.deepInclude(yield* settings({ HF_HUB_OFFLINE: "1" }, { cache: "/own", offline: false }), {
          cache: "/own",
          offline: false
        })
      })
    )
  )
})
