import * as FakeHub from "@effect-tinker/testing/FakeHub"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { createHash } from "node:crypto"
import type * as Hub from "../../src/Hub.ts"
import { files, load, makeHub, ref, tokenizerJson, urls, withCache } from "../utils/hub.ts"

/** The error of a load from a hub with a fault. */
const failWith = (fault: FakeHub.FaultOf | undefined, options: Partial<Hub.Options> = {}, wanted: Hub.Ref = ref) =>
  withCache((cache) =>
    Effect.flatMap(makeHub({ fault }), (hub) => Effect.flip(load(hub, { cache, ...options }, wanted)))
  )

/** Fails the first requests of a kind. */
const first =
  (count: number, kind: FakeHub.Recorded["kind"], fault: FakeHub.Fault): FakeHub.FaultOf =>
  (request) =>
    request.kind === kind && request.count <= count ? fault : undefined

const duration = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* Clock.currentTimeMillis
    const value = yield* effect
    return [value, (yield* Clock.currentTimeMillis) - before] as const
  })

describe("requests to the hub", () => {
  it.scoped("gives up after five attempts, and says what happened", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const hub = yield* makeHub({ fault: () => FakeHub.connectionLost })
        const error = yield* Effect.flip(load(hub, { cache, token: hub.token }))
        assert.strictEqual(error.reason, "Unreachable")
        assert.isTrue(error.isRetryable)
        assert.include(error.message, "https://hub.test cannot be reached: ECONNRESET")
        assert.strictEqual((yield* hub.requests).length, 5)
        assert.notInclude(JSON.stringify(error), "hf_fake")
      })
    )
  )

  it.scoped.each<[string, FakeHub.FaultOf]>([
    ["metadata gets 503", first(2, "metadata", FakeHub.respond(503))],
    ["metadata does not come", first(2, "metadata", FakeHub.silence)],
    ["metadata stops midway", first(2, "metadata", FakeHub.silenceAfter(30))],
    ["the connection is lost within metadata", first(2, "metadata", FakeHub.cutAfter(30))],
    ["metadata ends too early", first(2, "metadata", FakeHub.truncate(30))],
    ["a file does not come", first(2, "storage", FakeHub.silence)],
    ["a file stops midway", first(2, "storage", FakeHub.silenceAfter(30))],
    ["the connection is lost within a file", first(2, "storage", FakeHub.cutAfter(30))],
    ["a file ends too early", first(2, "storage", FakeHub.truncate(30))],
    ["a file is corrupt", first(2, "file", FakeHub.corrupt)],
    ["the signature of the storage host has expired", first(1, "storage", FakeHub.respond(403))],
    ["the storage host is busy", first(2, "storage", FakeHub.busy(3))]
  ])("sends the request again when %s", ([, fault]) =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const hub = yield* makeHub({ fault })
        const [{ directory }, millis] = yield* duration(load(hub, { cache }))
        assert.strictEqual(yield* fs.readFileString(`${directory}/tokenizer.json`), tokenizerJson)
        assert.isBelow(millis, 70_000)
        const left = yield* fs.readDirectory(cache, { recursive: true })
        assert.isFalse(left.some((name) => name.endsWith(".incomplete")))
      })
    )
  )

  it.scoped("reports stalled metadata within a minute, and does not blame HF_ENDPOINT", () =>
    Effect.gen(function* () {
      const [error, millis] = yield* duration(failWith(() => FakeHub.silenceAfter(20)))
      assert.strictEqual(error.reason, "Unreachable")
      assert.include(error.message, "no byte of metadata arrived for 10 s")
      assert.isBelow(millis, 65_000)
    })
  )

  it.scoped.each<[string, FakeHub.Fault, string]>([
    ["of another content", FakeHub.corrupt, "does not match the hash"],
    ["of another size", FakeHub.truncate(3), "does not have the 21 bytes"]
  ])("stores no file %s than announced", ([, fault, message]) =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const hub = yield* makeHub({ fault: ({ file }) => (file === "tokenizer_config.json" ? fault : undefined) })
        const error = yield* Effect.flip(load(hub, { cache }))
        assert.strictEqual(error.reason, "Corrupt")
        assert.include(error.message, `tokenizer_config.json ${message}`)
        assert.deepStrictEqual(yield* fs.readDirectory(`${cache}/models--org--model/blobs`), [])
      })
    )
  )

  it.scoped.each<[string, Record<string, string>]>([
    ["in seconds", { "retry-after": "7" }],
    ["as a date", { "retry-after": "Thu, 01 Jan 1970 00:16:47 GMT" }],
    ["as the reset of a limit", { ratelimit: '"api";r=0;t=7' }]
  ])("waits as long as the hub asks, given %s", ([, headers]) =>
    withCache((cache) =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1000_000)
        const hub = yield* makeHub({ fault: first(1, "metadata", FakeHub.respond(429, headers)) })
        const [, millis] = yield* duration(load(hub, { cache }))
        assert.isAtLeast(millis, 7000)
        assert.isBelow(millis, 20_000)
      })
    )
  )

  it.scoped("fails at once when the hub asks to wait longer than a minute", () =>
    Effect.gen(function* () {
      const [error, millis] = yield* duration(failWith(() => FakeHub.busy(86_400)))
      assert.deepInclude(error, { reason: "Unreachable", status: 429, retryAfter: 86_400 })
      assert.include(error.message, "https://hub.test responded with 429 and asks to wait 86400 s")
      assert.isBelow(millis, 1000)
    })
  )

  it.scoped.each<[string, FakeHub.Fault, Partial<Hub.Options>, string, RegExp]>([
    ["401", FakeHub.respond(401, { "x-request-id": "Root=1" }), {}, "Unauthorized", /set HF_TOKEN \(request Root=1\)$/],
    ["401 with a token", FakeHub.respond(401), { token: Redacted.make("x") }, "Unauthorized", /HF_TOKEN is valid/],
    [
      "GatedRepo",
      FakeHub.respond(403, { "x-error-code": "GatedRepo" }),
      {},
      "Gated",
      /access at https:\/\/hub\.test\/org/
    ],
    ["403 of the hub", FakeHub.respond(403, { "x-error-message": "no" }), {}, "Unauthorized", /token may not read it/],
    ["403 of a proxy", FakeHub.respond(403, {}, "<html>"), {}, "Unreachable", /proxy or firewall may block it/],
    ["404", FakeHub.respond(404), {}, "NotFound", /no such repository or revision at/],
    ["500", FakeHub.respond(500), {}, "Unreachable", /responded with 500$/],
    [
      "an unencrypted redirect",
      FakeHub.respond(302, { location: "http://plain.test/" }),
      {},
      "Unreachable",
      /not encrypted/
    ],
    ["endless redirects", FakeHub.respond(302, { location: "https://hub.test/x" }), {}, "Unreachable", /too often/],
    ["a redirect to nowhere", FakeHub.respond(302, { location: "https://" }), {}, "Unreachable", /an invalid URL/],
    ["a page", FakeHub.respond(200, {}, "<html>"), {}, "Unreachable", /like a Hugging Face hub: check HF_ENDPOINT$/]
  ])("explains what to do about %s", ([, fault, options, reason, message]) =>
    Effect.gen(function* () {
      const error = yield* failWith(() => fault, options)
      assert.strictEqual(error.reason, reason)
      assert.match(error.message, message)
    })
  )

  it.scoped("does not take a failure of the storage host for one of the hub", () =>
    Effect.gen(function* () {
      for (const status of [401, 403, 404]) {
        const error = yield* failWith(({ kind }) => (kind === "storage" ? FakeHub.respond(status) : undefined))
        assert.deepInclude(error, { reason: "Unreachable", status })
        assert.include(error.message, `https://storage.test responded with ${status}`)
      }
    })
  )

  it.scoped("tells a gated repository, a private one and a missing revision from each other", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const hub = yield* FakeHub.make({
          repositories: {
            "a/gated": { files, access: "gated" },
            "a/private": { files, access: "private" },
            "a/b": { files }
          }
        })
        const reason = (wanted: Hub.Ref, token?: Redacted.Redacted) =>
          Effect.map(Effect.flip(load(hub, { cache, token }, wanted)), (error) => error.reason)
        assert.strictEqual(yield* reason({ repo: "a/gated" }), "Gated")
        assert.strictEqual(yield* reason({ repo: "a/gated" }, hub.token), "Gated")
        assert.strictEqual(yield* reason({ repo: "a/private" }), "Unauthorized")
        assert.strictEqual(yield* reason({ repo: "a/b" }, Redacted.make("hf_wrong")), "Unauthorized")
        assert.strictEqual(yield* reason({ repo: "a/b", revision: "none" }), "NotFound")
        yield* load(hub, { cache, token: hub.token }, { repo: "a/private" })
      })
    )
  )

  it.scoped.each([["feature/x+y"], ["v1.0#2"], ["größe"], ["100%"], ["a/b@c=d,e"]])(
    "takes a branch called %s",
    ([revision]) =>
      withCache((cache) =>
        Effect.gen(function* () {
          const hub = yield* makeHub({ repositories: { "org/model": { files: {}, revisions: { [revision]: files } } } })
          const wanted = { ...ref, revision }
          const fetched = yield* load(hub, { cache }, wanted)
          assert.strictEqual(fetched.commit, yield* hub.commitOf("org/model", revision))
          assert.include((yield* urls(hub))[0], `/revision/${encodeURIComponent(revision)}?`)
          assert.deepStrictEqual(yield* load(hub, { cache, offline: true }, wanted), fetched)
        })
      )
  )

  it.scoped.each([
    ["../x"],
    ["a/b/c"],
    ["a/.."],
    [""],
    ["a b"],
    ["a/b."],
    ["a--b/c"],
    [".a/b"],
    ["a/b.git"],
    ["a\\b"],
    ["a/b?c"]
  ])("rejects %o, which is not the name of a repository", ([repo]) =>
    Effect.gen(function* () {
      const error = yield* failWith(undefined, {}, { repo })
      assert.strictEqual(error.reason, "Invalid")
      assert.include(error.message, "not the name of a repository")
    })
  )

  it.scoped.each([
    ["../main", "not the name of a branch"],
    ["a//b", "not the name of a branch"],
    ["a\\b", "not the name of a branch"],
    ["a:b", "not the name of a branch"],
    ["/main", "not the name of a branch"],
    ["a b", "not the name of a branch"],
    ["a\nb", "not the name of a branch"],
    ["main.", "not the name of a branch"],
    ["-x", "not the name of a branch"],
    ["x".repeat(300), "not the name of a branch"],
    ["nul", "nul is a reserved name of Windows"],
    ["feature/COM1.txt", "COM1.txt is a reserved name of Windows"],
    ["Aux/x", "Aux is a reserved name of Windows"]
  ])("rejects the revision %o", ([revision, message]) =>
    Effect.gen(function* () {
      const error = yield* failWith(undefined, {}, { ...ref, revision })
      assert.strictEqual(error.reason, "Invalid")
      assert.isFalse(error.isRetryable)
      assert.include(error.message, message)
    })
  )

  it.scoped.each([
    ["huggingface.co", "write https://huggingface.co"],
    ["127.0.0.1:9800", "write https://127.0.0.1:9800"],
    ["localhost:9800/hf", "write https://localhost:9800/hf"],
    ["//hub.test", "write https://hub.test"],
    ["ftp://hub.test", "not a URL of the form https://host"],
    ["https://", "not a URL of the form https://host"],
    ["https://hub.test:99999", "not a URL of the form https://host"],
    ["https://hub.test/?x=1", "write https://hub.test"]
  ])("rejects the endpoint %s", ([endpoint, message]) =>
    Effect.gen(function* () {
      const error = yield* failWith(undefined, { endpoint })
      assert.strictEqual(error.reason, "Invalid")
      assert.include(error.message, "HF_ENDPOINT")
      assert.include(error.message, message)
    })
  )

  it.scoped("does not print the password in an endpoint", () =>
    Effect.gen(function* () {
      for (const endpoint of ["https://me:secret@hub.test", "me:secret@hub.test"]) {
        const error = yield* failWith(undefined, { endpoint })
        assert.strictEqual(error.reason, "Invalid")
        assert.notInclude(JSON.stringify(error), "secret")
      }
    })
  )

  it.scoped.each([["https://HUB.test"], ["https://hub.test/"], ["https://hub.test//"], [" https://hub.test:443 "]])(
    "sends the token to the endpoint %o",
    ([endpoint]) =>
      withCache((cache) =>
        Effect.gen(function* () {
          const hub = yield* makeHub({ repositories: { "org/model": { files, access: "private" } } })
          yield* load(hub, { cache, endpoint, token: hub.token })
          assert.deepStrictEqual(
            (yield* hub.requests).map(({ headers, kind }) => [kind, headers["authorization"]]),
            [
              ["metadata", "Bearer hf_fake"],
              ["file", "Bearer hf_fake"],
              ["file", "Bearer hf_fake"],
              ["file", "Bearer hf_fake"],
              ["storage", undefined]
            ]
          )
        })
      )
  )

  it.scoped.each([
    ["a line break", "hf_checkSECRET\nhf_b"],
    ["characters outside of ASCII", "hf_checkSECRET\u2026"],
    ["spaces or control characters", "hf_checkSECRET b"]
  ])("rejects a token with %s before it sends anything, and does not print it", ([problem, token]) =>
    withCache((cache) =>
      Effect.gen(function* () {
        const hub = yield* makeHub()
        const error = yield* Effect.flip(load(hub, { cache, token: Redacted.make(token) }))
        assert.strictEqual(error.reason, "Invalid")
        assert.isFalse(error.isRetryable)
        assert.include(error.message, `the access token contains ${problem}: check HF_TOKEN`)
        assert.notInclude(`${error.stack} ${JSON.stringify(error)}`, "SECRET")
        assert.deepStrictEqual(yield* hub.requests, [])
      })
    )
  )

  it.scoped("writes a large file part by part, and holds little of it in memory", () =>
    withCache((cache) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const part = new Uint8Array(1024 * 1024).fill(7)
        const parts = 64
        const hash = createHash("sha256")
        for (let i = 0; i < parts; i++) hash.update(part)
        const lfs = { sha256: hash.digest("hex"), size: parts * part.length }
        let [sent, written, most] = [0, 0, 0]
        const body = () =>
          new ReadableStream<Uint8Array>({
            pull: (controller) => {
              if (sent >= lfs.size) return controller.close()
              sent += part.length
              most = Math.max(most, sent - written)
              controller.enqueue(part.slice())
            }
          })
        const client = HttpClient.make((request, url) => {
          const info = { sha: "a".repeat(40), siblings: [{ rfilename: "tokenizer.json", size: lfs.size, lfs }] }
          const response = url.pathname.startsWith("/api/") ? Response.json(info) : new Response(body())
          return Effect.succeed(HttpClientResponse.fromWeb(request, response))
        })
        const disk = Layer.succeed(FileSystem.FileSystem, {
          ...fs,
          open: (path, options) =>
            Effect.map(fs.open(path, options), (file) => {
              const writeAll = (bytes: Uint8Array) =>
                Effect.flatMap(file.writeAll(bytes), () => Effect.sync(() => void (written += bytes.length)))
              return Object.create(file, { writeAll: { value: writeAll } }) as FileSystem.File
            })
        })
        const hub = { layer: Layer.succeed(HttpClient.HttpClient, client) }
        const { directory } = yield* load(hub, { cache }, ref, disk)
        assert.strictEqual(Number((yield* fs.stat(`${directory}/tokenizer.json`)).size), lfs.size)
        assert.isAtMost(most, 8 * part.length)
      })
    )
  )
})
