import "fake-indexeddb/auto"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { createHash } from "node:crypto"
import * as BrowserFileSystem from "../../../src/BrowserFileSystem.ts"
import { fetchModel } from "../../../src/internal/downloads/models.ts"

let databases = 0
const files = () => BrowserFileSystem.layer(`models-${(databases += 1)}`)

const model = { name: "test/model", url: "http://models.test/one/" }
const options = { maxModelBytes: 1000, onProgress: () => Effect.void }

/** Files as a server has them, with their list unless there is one. */
const withList = (content: Record<string, string>): Record<string, string> => ({
  SHA256SUMS: Object.entries(content)
    .map(([name, text]) => `${createHash("sha256").update(text).digest("hex")}  ${name}\n`)
    .join(""),
  ...content
})

/** A server of files; `requests` are the names that were asked for. A name without content never answers. */
const server = (content: () => Record<string, string | undefined>, requests: Array<string> = []) =>
  HttpClient.make((request, url) => {
    const name = url.pathname.split("/").at(-1)!
    requests.push(name)
    if (!(name in content())) {
      return Effect.succeed(HttpClientResponse.fromWeb(request, new Response("", { status: 404 })))
    }
    const text = content()[name]
    return text === undefined ? Effect.never : Effect.succeed(HttpClientResponse.fromWeb(request, new Response(text)))
  })

const one = withList({ "config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "tokens" })

const read = (path: string) => Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(path))

const fails = (content: Record<string, string>, most = 1000) =>
  fetchModel(model, { ...options, maxModelBytes: most }).pipe(
    Effect.flip,
    Effect.map(({ message }) => message),
    Effect.provideService(
      HttpClient.HttpClient,
      server(() => content)
    ),
    Effect.provide(files())
  )

describe("fetchModel", () => {
  it.live("fetches a model once, then a new version in its place, and keeps that while the server fails", () =>
    Effect.gen(function* () {
      const requests: Array<string> = []
      let content: Record<string, string> = one
      const fetched = fetchModel(model, options).pipe(
        Effect.provideService(
          HttpClient.HttpClient,
          server(() => content, requests)
        )
      )
      const first = yield* fetched
      assert.strictEqual(yield* read(`${first.directory}/model.safetensors`), "weights")
      assert.deepStrictEqual(requests.splice(0), Object.keys(one))
      assert.deepStrictEqual(yield* fetched, first)
      assert.deepStrictEqual(requests.splice(0), ["SHA256SUMS"])

      content = withList({ "config.json": "{}", "model.safetensors": "others", "tokenizer.json": "tokens" })
      const second = yield* fetched
      assert.strictEqual(yield* read(`${second.directory}/model.safetensors`), "others")
      const fs = yield* FileSystem.FileSystem
      assert.isFalse(yield* fs.exists(first.directory))
      content = {}
      assert.deepStrictEqual(yield* fetched, second)
    }).pipe(Effect.provide(files()))
  )

  it.live("goes on after its last whole file when a download was interrupted", () =>
    Effect.gen(function* () {
      const requests: Array<string> = []
      let content: Record<string, string | undefined> = { ...one, "tokenizer.json": undefined }
      const fetched = fetchModel(model, options).pipe(
        Effect.provideService(
          HttpClient.HttpClient,
          server(() => content, requests)
        )
      )
      const fiber = yield* Effect.fork(fetched)
      while (!requests.includes("tokenizer.json")) yield* Effect.sleep(1)
      yield* Fiber.interrupt(fiber)
      content = one
      requests.length = 0
      const { directory } = yield* fetched
      assert.deepStrictEqual(requests, ["SHA256SUMS", "tokenizer.json"])
      assert.strictEqual(yield* read(`${directory}/config.json`), "{}")
    }).pipe(Effect.provide(files()))
  )

  it.live("says what is wrong with a model, and where", () =>
    Effect.gen(function* () {
      const at = "http://models.test/one/"
      assert.include(yield* fails({}), `${at}SHA256SUMS: cannot be fetched: the answer has the status 404`)
      assert.include(yield* fails({ ...one, "model.safetensors": "other" }), `${at}model.safetensors: has the SHA-256 `)
      assert.include(yield* fails(one, 8), `${at}model.safetensors: is larger than the 6 bytes that are left`)
      assert.include(yield* fails({ SHA256SUMS: "x" }), "has in line 1 no SHA-256 with the name of a file beside it")
      const hash = "0".repeat(64)
      assert.include(yield* fails({ SHA256SUMS: `${hash}  ../a` }), "has in line 1 no SHA-256")
      assert.include(yield* fails({ SHA256SUMS: `${hash}  a\n${hash}  a` }), "has a twice, the second time in line 2")
      assert.include(yield* fails({ SHA256SUMS: `${hash}  a` }), "does not list config.json")
      assert.include(yield* fails({ SHA256SUMS: "\n".repeat(70_000) }), "SHA256SUMS: is larger than")
    })
  )
})
