import * as FakeHub from "@effect-tinker/testing/FakeHub"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Hub from "../src/Hub.ts"
import { advance, layer, load, makeHub, ref, tokenizerJson, urls, withCache } from "./utils/hub.ts"

const settings = (env: Record<string, string>, options?: Partial<Hub.Options>) =>
  Effect.withConfigProvider(Hub.fromConfig(options), ConfigProvider.fromMap(new Map(Object.entries(env))))

describe("Hub", () => {
  it.scoped("downloads the files of a tokenizer once, into the cache of the Python libraries", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const hub = yield* makeHub()
        const { commit, directory } = yield* load(hub, { cache, token: hub.token })
        assert.strictEqual(commit, yield* hub.commitOf("org/model"))
        assert.strictEqual(directory, `${cache}/models--org--model/snapshots/${commit}`)
        assert.deepStrictEqual((yield* fs.readDirectory(directory)).sort(), [
          "chat_template.jinja",
          "tokenizer.json",
          "tokenizer_config.json"
        ])
        assert.strictEqual(yield* fs.readFileString(`${directory}/tokenizer.json`), tokenizerJson)
        assert.strictEqual(yield* fs.readFileString(`${cache}/models--org--model/refs/main`), commit)
        const blobs = yield* fs.readDirectory(`${cache}/models--org--model/blobs`)
        // huggingface_hub names large files by their SHA-256, and others by their git blob id.
        assert.deepStrictEqual(blobs.map((name) => name.length).sort(), [40, 40, 64])
        assert.match(yield* fs.readLink(`${directory}/tokenizer.json`), /^\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/)
        // huggingface_hub marks what a commit does not have.
        assert.deepStrictEqual((yield* fs.readDirectory(`${cache}/models--org--model/.no_exist/${commit}`)).sort(), [
          "chat_template.json",
          "special_tokens_map.json"
        ])
        const sha256 = blobs.find((name) => name.length === 64)!
        assert.deepStrictEqual(yield* urls(hub), [
          "hub.test/api/models/org/model/revision/main?blobs=true",
          `hub.test/org/model/resolve/${commit}/tokenizer_config.json`,
          `hub.test/org/model/resolve/${commit}/chat_template.jinja`,
          `hub.test/org/model/resolve/${commit}/tokenizer.json`,
          `storage.test/large/${sha256}?signature=fake`
        ])
        // Only the hub receives the token, and no request carries a trace id.
        const requests = yield* hub.requests
        assert.deepStrictEqual(
          requests.map(({ headers }) => headers["authorization"]),
          ["Bearer hf_fake", "Bearer hf_fake", "Bearer hf_fake", "Bearer hf_fake", undefined]
        )
        assert.isFalse(requests.some(({ headers }) => "traceparent" in headers || "b3" in headers))
        yield* hub.clearRequests
        yield* load(hub, { cache })
        assert.deepStrictEqual(yield* urls(hub), ["hub.test/api/models/org/model/revision/main?blobs=true"])
        // A commit never changes, so no request is sent.
        yield* load(hub, { cache }, { repo: "org/model", revision: commit })
        assert.strictEqual((yield* hub.requests).length, 1)
      })
    )
  )

  it.scoped("follows a branch to its new commit, and reuses the files that did not change", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const hub = yield* makeHub()
        yield* load(hub, { cache })
        const commit = yield* hub.push("org/model", {
          "tokenizer_config.json": "{}",
          "tokenizer.json": { content: tokenizerJson, large: true }
        })
        yield* hub.clearRequests
        const { directory } = yield* load(hub, { cache })
        assert.strictEqual(directory, `${cache}/models--org--model/snapshots/${commit}`)
        assert.strictEqual(yield* fs.readFileString(`${directory}/tokenizer_config.json`), "{}")
        assert.strictEqual(yield* fs.readFileString(`${directory}/tokenizer.json`), tokenizerJson)
        assert.isFalse(yield* fs.exists(`${directory}/chat_template.jinja`))
        assert.strictEqual(yield* fs.readFileString(`${cache}/models--org--model/refs/main`), commit)
        assert.deepStrictEqual(yield* urls(hub), [
          "hub.test/api/models/org/model/revision/main?blobs=true",
          `hub.test/org/model/resolve/${commit}/tokenizer_config.json`
        ])
      })
    )
  )

  it.scoped("shares one download among concurrent callers, even if the first of them is interrupted", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const hub = yield* makeHub({
          fault: ({ kind }) => (kind === "metadata" ? FakeHub.delay("2 seconds") : undefined)
        })
        yield* Effect.gen(function* () {
          const { tokenizerFiles } = yield* Hub.Hub
          const first = yield* Effect.fork(tokenizerFiles(ref))
          const others = yield* Effect.fork(
            Effect.all(
              Array.from({ length: 10 }, () => tokenizerFiles(ref)),
              { concurrency: "unbounded" }
            )
          )
          while ((yield* hub.requests).length === 0) {
            yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
          }
          yield* Fiber.interrupt(first)
          const all = yield* advance(others)
          assert.strictEqual(new Set(all.map(({ directory }) => directory)).size, 1)
          assert.strictEqual((yield* hub.requests).length, 5)
        }).pipe(Effect.provide(layer(hub, { cache })))
      })
    )
  )

  it.scoped("allows several processes to write the same files at once", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const all = yield* Effect.all(
          Array.from({ length: 8 }, () => Effect.flatMap(makeHub(), (hub) => load(hub, { cache }))),
          { concurrency: "unbounded" }
        )
        const { directory } = all[0]!
        assert.strictEqual(yield* fs.readFileString(`${directory}/tokenizer.json`), tokenizerJson)
        const left = yield* fs.readDirectory(cache, { recursive: true })
        assert.deepStrictEqual(
          left.filter((name) => name.endsWith(".incomplete")),
          []
        )
      })
    )
  )

  it.scoped("reads its options from the environment", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* settings({ HOME: "/h" }), {
        cache: "/h/.cache/huggingface/hub",
        token: undefined,
        endpoint: undefined,
        offline: false
      })
      const all = yield* settings({
        HF_HOME: "/hf",
        HF_HUB_CACHE: "/hub",
        HF_TOKEN: " hf_1\n",
        HF_ENDPOINT: "https://Mirror:443/hf/",
        HF_HUB_OFFLINE: "YES"
      })
      assert.strictEqual(Redacted.value(all.token!), "hf_1")
      assert.deepInclude(all, { cache: "/hub", endpoint: "https://mirror/hf", offline: true })
      assert.notInclude(JSON.stringify(all), "hf_1")
      assert.deepInclude(yield* settings({ HF_HUB_OFFLINE: "1" }, { cache: "/own", offline: false }), {
        cache: "/own",
        offline: false
      })
    }).pipe((test) => withCache(() => test))
  )

  it.scoped.each<[string, Record<string, string>, string]>([
    ["XDG_CACHE_HOME", { XDG_CACHE_HOME: "/x" }, "/x/huggingface/hub"],
    ["XDG_CACHE_HOME below the home directory", { XDG_CACHE_HOME: "~/x" }, "/h/x/huggingface/hub"],
    ["HF_HOME", { HF_HOME: "~/hf" }, "/h/hf/hub"],
    ["HF_HOME with a variable", { HF_HOME: "$DATA/hf", DATA: "/data" }, "/data/hf/hub"],
    ["HUGGINGFACE_HUB_CACHE", { HUGGINGFACE_HUB_CACHE: "/old" }, "/old"],
    ["HUGGINGFACE_HUB_CACHE before HF_HOME", { HUGGINGFACE_HUB_CACHE: "/old", HF_HOME: "/hf" }, "/old"],
    ["HF_HUB_CACHE before all", { HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/new", HF_HOME: "/hf" }, "/new"],
    ["HF_HUB_CACHE with variables", { HF_HUB_CACHE: "${DATA}/a$UNSET", DATA: "/data" }, "/data/a$UNSET"]
  ])("finds the cache where huggingface_hub does: %s", ([, env, expected]) =>
    withCache(() =>
      Effect.gen(function* () {
        assert.strictEqual((yield* settings({ HOME: "/h", ...env })).cache, expected)
      })
    )
  )

  it.scoped.each<[Record<string, string>, boolean]>([
    [{ TRANSFORMERS_OFFLINE: "1" }, true],
    [{ TRANSFORMERS_OFFLINE: "0" }, false],
    [{ HF_HUB_OFFLINE: "0", TRANSFORMERS_OFFLINE: "1" }, false],
    [{ HF_HUB_OFFLINE: "", TRANSFORMERS_OFFLINE: "true" }, true],
    [{ HF_HUB_OFFLINE: "on" }, true]
  ])("is offline when huggingface_hub is, with %o", ([env, expected]) =>
    withCache(() =>
      Effect.gen(function* () {
        assert.strictEqual((yield* settings({ HOME: "/h", ...env })).offline, expected)
      })
    )
  )

  it.scoped("reads the saved token from the file that HF_TOKEN_PATH names, or from HF_HOME", () =>
    withCache((directory) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(`${directory}/token`, "hf_2\n")
        yield* fs.writeFileString(`${directory}/other`, "hf_3")
        const tokenOf = (env: Record<string, string>) =>
          Effect.map(settings({ HOME: directory, ...env }), ({ token }) => token && Redacted.value(token))
        assert.strictEqual(yield* tokenOf({ HF_HOME: directory }), "hf_2")
        assert.strictEqual(yield* tokenOf({ HF_HOME: directory, HF_TOKEN_PATH: "~/other" }), "hf_3")
        assert.strictEqual(yield* tokenOf({ HF_TOKEN_PATH: "~/other", HF_TOKEN: "hf_4" }), "hf_4")
        assert.strictEqual(yield* tokenOf({ HF_TOKEN_PATH: "~/missing" }), undefined)
      })
    )
  )
})
