import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpServer from "@effect/platform/HttpServer"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import * as FakeHub from "../src/FakeHub.ts"

const files = { "config.json": "{}", "model.bin": { content: "weights", large: true } }
const sha256 = createHash("sha256").update("weights").digest("hex")
const gitBlob = createHash("sha1").update("blob 2\0{}").digest("hex")

const options: FakeHub.Options = {
  repositories: {
    "org/model": { files, revisions: { "feature/x+y": { "config.json": "{ }" } } },
    "org/private": { files, access: "private" },
    "org/gated": { files, access: "gated" },
    single: { files }
  }
}

/** Sends a request, and follows no redirect. */
const send = (client: HttpClient.HttpClient, url: string, token?: string, method: "GET" | "HEAD" = "GET") =>
  client
    .execute(
      HttpClientRequest.make(method)(url).pipe(
        token === undefined ? (request) => request : HttpClientRequest.bearerToken(token)
      )
    )
    .pipe(Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" }))

/** Where to upload the only object of a batch. */
const uploadOf = (batch: unknown) =>
  (
    batch as {
      readonly objects: readonly [
        { readonly actions: { readonly upload: { readonly href: string; readonly header: Record<string, string> } } }
      ]
    }
  ).objects[0].actions.upload

/** The hub over a socket, at the address that it listens on. */
const overSocket = (hub: FakeHub.FakeHub) => {
  const server = NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })
  return Effect.gen(function* () {
    const context = yield* Layer.build(Layer.provideMerge(HttpServer.serve(hub.app), server))
    return yield* Effect.provide(
      HttpServer.addressWith((address) => Effect.succeed(address._tag === "TcpAddress" ? address.port : 0)),
      context
    )
  })
}

describe("FakeHub", () => {
  it.effect("reports the files of a branch, tag or commit with their sizes and hashes", () =>
    Effect.gen(function* () {
      const hub = yield* FakeHub.make(options)
      const url = `${hub.endpoint}/api/models/org/model`
      const info = yield* Effect.flatMap(send(hub.client, `${url}/revision/main?blobs=true`), ({ json }) => json)
      const commit = yield* hub.commitOf("org/model")
      assert.deepInclude(info, {
        id: "org/model",
        sha: commit,
        siblings: [
          { rfilename: "config.json", size: 2, blobId: gitBlob },
          {
            rfilename: "model.bin",
            size: 7,
            blobId: createHash("sha1").update("blob 7\0weights").digest("hex"),
            lfs: { oid: sha256, sha256, size: 7, pointerSize: 134 }
          }
        ]
      })
      const other = yield* Effect.flatMap(send(hub.client, `${url}/revision/feature%2Fx%2By`), ({ json }) => json)
      assert.propertyVal(other, "sha", yield* hub.commitOf("org/model", "feature/x+y"))
      const pushed = yield* hub.push("org/model", { "config.json": "{}" })
      assert.notStrictEqual(pushed, commit)
      for (const [revision, sha] of [
        ["main", pushed],
        [commit, commit]
      ]) {
        const now = yield* Effect.flatMap(send(hub.client, `${url}/revision/${revision}`), ({ json }) => json)
        assert.propertyVal(now, "sha", sha)
      }
      assert.strictEqual((yield* send(hub.client, `${hub.endpoint}/api/models/single/revision/main`)).status, 200)
    })
  )

  it.effect("serves small files, and redirects to another host for large ones, which rejects the token", () =>
    Effect.gen(function* () {
      const hub = yield* FakeHub.make(options)
      const at = (file: string) => `${hub.endpoint}/org/model/resolve/main/${file}`
      const small = yield* send(hub.client, at("config.json"))
      assert.strictEqual(yield* small.text, "{}")
      assert.strictEqual(small.headers["etag"], `"${gitBlob}"`)
      const large = yield* send(hub.client, at("model.bin"))
      assert.strictEqual(large.status, 302)
      assert.strictEqual(large.headers["x-linked-etag"], `"${sha256}"`)
      const { location } = large.headers
      assert.strictEqual(location, `https://storage.test/large/${sha256}?signature=fake`)
      assert.strictEqual(yield* Effect.flatMap(send(hub.client, location!), ({ text }) => text), "weights")
      assert.strictEqual((yield* send(hub.client, location!, "hf_fake")).status, 400)
      const absent = yield* send(hub.client, at("absent.json"))
      assert.deepInclude(absent.headers, {
        "x-error-code": "EntryNotFound",
        "x-repo-commit": yield* hub.commitOf("org/model")
      })
    })
  )

  it.effect("rejects requests as the hub does", () =>
    Effect.gen(function* () {
      const hub = yield* FakeHub.make(options)
      const statusOf = (repo: string, token?: string) =>
        Effect.map(send(hub.client, `${hub.endpoint}/api/models/${repo}`, token), ({ headers, status }) => [
          status,
          headers["x-error-code"] ?? "none"
        ])
      const token = Redacted.value(hub.token)
      assert.deepStrictEqual(yield* statusOf("org/private"), [401, "RepoNotFound"])
      assert.deepStrictEqual(yield* statusOf("org/private", token), [200, "none"])
      assert.deepStrictEqual(yield* statusOf("org/gated"), [401, "GatedRepo"])
      assert.deepStrictEqual(yield* statusOf("org/gated", token), [403, "GatedRepo"])
      assert.deepStrictEqual(yield* statusOf("org/model", "hf_wrong"), [401, "none"])
      assert.deepStrictEqual(yield* statusOf("org/absent", token), [404, "RepoNotFound"])
      assert.deepStrictEqual(yield* statusOf("org/model/revision/absent"), [404, "RevisionNotFound"])
    })
  )

  it.effect("records the requests, and fails those that the test selects", () =>
    Effect.gen(function* () {
      const hub = yield* FakeHub.make({
        ...options,
        fault: ({ count, kind }) => (kind === "file" && count === 1 ? FakeHub.busy(2) : undefined)
      })
      const url = `${hub.endpoint}/org/model/resolve/main/config.json`
      const busy = yield* send(hub.client, url)
      assert.deepStrictEqual([busy.status, busy.headers["retry-after"]], [429, "2"])
      assert.strictEqual((yield* send(hub.client, url)).status, 200)
      const [, second] = yield* hub.requests
      assert.deepInclude(second, { method: "GET", url, kind: "file", file: "config.json", count: 2 })
      const bodyWith = (fault: FakeHub.Fault) =>
        Effect.flatMap(
          hub.setFault(() => fault),
          () => Effect.flatMap(send(hub.client, url), ({ text }) => text)
        ).pipe(Effect.either)
      assert.propertyVal(yield* bodyWith(FakeHub.connectionLost), "_tag", "Left")
      assert.propertyVal(yield* bodyWith(FakeHub.cutAfter(1)), "_tag", "Left")
      yield* hub.setFault(() => FakeHub.corrupt)
      assert.notStrictEqual(yield* Effect.flatMap(send(hub.client, url), ({ text }) => text), "{}")
      yield* hub.setFault(() => FakeHub.truncate(1))
      assert.strictEqual(yield* Effect.flatMap(send(hub.client, url), ({ text }) => text), "{")
      yield* hub.clearRequests
      assert.deepStrictEqual(yield* hub.requests, [])
    })
  )

  it.scopedLive("serves the same over a socket, with its storage at the other name of the machine", () =>
    Effect.gen(function* () {
      const hub = yield* FakeHub.make(options)
      const port = yield* overSocket(hub)
      const client = yield* HttpClient.HttpClient
      const at = (file: string) => `http://127.0.0.1:${port}/org/model/resolve/main/${file}`
      assert.strictEqual(yield* Effect.flatMap(send(client, at("config.json")), ({ text }) => text), "{}")
      const head = yield* send(client, at("config.json"), undefined, "HEAD")
      assert.strictEqual(head.headers["content-length"], "2")
      const { headers } = yield* send(client, at("model.bin"))
      assert.strictEqual(headers["location"], `http://localhost:${port}/large/${sha256}?signature=fake`)
      const stored = headers["location"]!.replace("localhost", "127.0.0.1")
      assert.strictEqual(yield* Effect.flatMap(send(client, stored), ({ text }) => text), "weights")
      const outcome = (fault: FakeHub.Fault) =>
        Effect.flatMap(
          hub.setFault(() => fault),
          () => Effect.flatMap(send(client, at("config.json")), ({ text }) => text)
        ).pipe(
          Effect.timeoutFail({ duration: "300 millis", onTimeout: () => ({ reason: "timeout" }) }),
          Effect.catchAll(({ reason }) => Effect.succeed(reason))
        )
      assert.strictEqual(yield* outcome(FakeHub.connectionLost), "Transport")
      assert.strictEqual(yield* outcome(FakeHub.cutAfter(1)), "Decode")
      assert.strictEqual(yield* outcome(FakeHub.silence), "timeout")
      assert.strictEqual(yield* outcome(FakeHub.silenceAfter(1)), "timeout")
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )

  it.effect(
    "takes repositories, large files in parts, and commits on the newest one, from the owner of its token",
    () =>
      Effect.gen(function* () {
        const hub = yield* FakeHub.make({ repositories: {}, partSize: 4 })
        const post = (path: string, body: string, token = "hf_fake") =>
          hub.client.execute(
            HttpClientRequest.post(`${hub.endpoint}${path}`).pipe(
              HttpClientRequest.bodyText(body),
              HttpClientRequest.bearerToken(token)
            )
          )
        const upload = (url: string, method: "PUT" | "POST", body: string) =>
          hub.client.execute(HttpClientRequest.make(method)(url).pipe(HttpClientRequest.bodyText(body)))
        const repository = JSON.stringify({ name: "model", organization: "ada", visibility: "private" })
        assert.strictEqual((yield* post("/api/repos/create", repository, "hf_other")).status, 401)
        assert.strictEqual((yield* post("/api/repos/create", repository)).status, 200)
        assert.strictEqual((yield* post("/api/repos/create", repository)).status, 409)
        assert.strictEqual(yield* hub.accessOf("ada/model"), "private")

        const objects = JSON.stringify({ objects: [{ oid: sha256, size: 7 }] })
        const batch = Effect.flatMap(post("/ada/model.git/info/lfs/objects/batch", objects), ({ json }) => json)
        const { header, href } = uploadOf(yield* batch)
        assert.strictEqual((yield* upload(header["00001"]!, "PUT", "weig")).status, 200)
        assert.strictEqual((yield* upload(href, "POST", "")).status, 400)
        assert.strictEqual((yield* upload(header["00002"]!, "PUT", "hts")).status, 200)
        assert.strictEqual((yield* upload(href, "POST", "")).status, 200)
        assert.deepStrictEqual(yield* batch, { transfer: "multipart", objects: [{ oid: sha256, size: 7 }] })

        const parent = yield* hub.commitOf("ada/model")
        const commit = [
          { key: "header", value: { summary: "title", parentCommit: parent } },
          { key: "file", value: { path: "config.json", content: btoa("{}"), encoding: "base64" } },
          { key: "lfsFile", value: { path: "model.bin", oid: sha256, size: 7 } }
        ].map((line) => JSON.stringify(line))
        const send = post("/api/models/ada/model/commit/main", commit.join("\n"))
        yield* hub.setFault(() => FakeHub.meanwhile(Effect.void, FakeHub.busy(1)))
        assert.strictEqual((yield* send).status, 429)
        yield* hub.setFault(undefined)
        assert.strictEqual((yield* send).status, 200)
        assert.strictEqual((yield* send).status, 412)
        assert.deepStrictEqual(Object.keys((yield* hub.filesAt("ada/model"))!), ["config.json", "model.bin"])
        assert.deepStrictEqual(
          (yield* hub.written).map(({ isPullRequest, title }) => [title, isPullRequest]),
          [["title", false]]
        )
      })
  )
})
