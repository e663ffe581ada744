import type * as NodeServer from "@effect-tinker/server/NodeServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { listen, serverLayer } from "../utils/nodeServer.ts"
import { rawRequest } from "../utils/rawHttp.ts"

/** Starts a service behind a socket. Sends a request with these headers, and nothing else but a length. */
const start = (options: NodeServer.Options = {}) =>
  Effect.map(listen(options), (port) => ({
    port,
    send: (method: string, path: string, headers: Record<string, string>, body = "") =>
      rawRequest(port, method, `/api/v1${path}`, { host: `127.0.0.1:${port}`, ...headers }, body)
  }))

const session = JSON.stringify({ tags: [], user_metadata: {}, sdk_version: "test" })
const json = { "content-type": "application/json" }
const page = "https://evil.test"

describe("a service without keys, and a web page", () => {
  it.scopedLive("reads no body without the exact media type of the endpoint", () =>
    Effect.gen(function* () {
      const { send } = yield* start()
      const rejected: ReadonlyArray<string | undefined> = [
        undefined,
        "",
        "text/plain",
        "text/plain; x=application/json",
        "text/plain;application/json",
        'text/plain; x="application/json"',
        "application/json, text/plain",
        "text/plain, application/json",
        "application/jsonx",
        "application/json+x",
        "xapplication/json",
        "application/json; charset=utf-16",
        "application/json; charset",
        "application/json x",
        "application/json; x=application/x-protobuf",
        "multipart/form-data; boundary=application/json",
        "application/x-www-form-urlencoded; x=application/json",
        "application/x-protobuf"
      ]
      for (const type of rejected) {
        const headers: Record<string, string> = type === undefined ? {} : { "content-type": type }
        assert.strictEqual((yield* send("POST", "/create_session", headers, session)).status, 415, String(type))
      }
      for (const type of [
        "application/json",
        "Application/JSON",
        "application/json;charset=UTF-8",
        'application/json ; charset="utf-8"',
        "application/json; profile=x"
      ]) {
        const { status } = yield* send("POST", "/create_session", { "content-type": type }, session)
        assert.strictEqual(status, 200, type)
      }
      // what cannot be protobuf is not decoded as protobuf
      const mixed = { "content-type": 'application/json; x="application/x-protobuf"' }
      const { body, status } = yield* send("POST", "/forward_backward", mixed, "{}")
      assert.strictEqual(status, 422)
      assert.match(body, /forward_backward_input/)
    })
  )

  it.scopedLive("responds to loopback hosts only, so that no host name of an attacker reaches it", () =>
    Effect.gen(function* () {
      const { port, send } = yield* start()
      for (const host of [
        "evil.test",
        `evil.test:${port}`,
        "127.0.0.1.evil.test",
        "localhost.evil.test",
        "127.evil.test",
        "192.168.0.1",
        "0.0.0.0",
        "",
        "localhost@evil.test",
        "[::2]:80"
      ]) {
        const posted = yield* send("POST", "/create_session", { ...json, host }, session)
        assert.strictEqual(posted.status, 421, host)
        assert.strictEqual((yield* send("GET", "/healthz", { host })).status, 421, host)
        const deleted = yield* send("DELETE", "/training_runs/x/checkpoints/weights/y", { ...json, host })
        assert.strictEqual(deleted.status, 421, host)
      }
      for (const host of ["localhost", `LOCALHOST:${port}`, "127.0.0.1", `127.0.0.1:${port}`, "127.9.9.9", "[::1]:1"]) {
        assert.strictEqual((yield* send("GET", "/healthz", { host })).status, 200, host)
      }
    })
  )

  it.scopedLive("rejects requests that a page of another origin sends", () =>
    Effect.gen(function* () {
      const { port, send } = yield* start()
      for (const headers of [
        { origin: page },
        { origin: "null" },
        { origin: "" },
        { origin: `http://127.0.0.1:${port + 1}` },
        { origin: `http://127.0.0.1:${port}.evil.test` },
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "cross-site", origin: `http://127.0.0.1:${port}` }
      ]) {
        const shown = JSON.stringify(headers)
        const posted = yield* send(
          "POST",
          "/create_session",
          { ...json, ...headers } as Record<string, string>,
          session
        )
        assert.strictEqual(posted.status, 403, shown)
        assert.notProperty(posted.headers, "access-control-allow-origin")
        const read = yield* send("GET", "/healthz", headers as Record<string, string>)
        assert.strictEqual(read.status, 403, shown)
      }
      const preflight = yield* send("OPTIONS", "/create_session", {
        origin: page,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type"
      })
      assert.strictEqual(preflight.status, 403)
      assert.notProperty(preflight.headers, "access-control-allow-origin")
      const own = { ...json, origin: `http://127.0.0.1:${port}`, "sec-fetch-site": "same-origin" }
      assert.strictEqual((yield* send("POST", "/create_session", own, session)).status, 200)
    })
  )
})

describe("origins that the operator allows", () => {
  it.scopedLive("may call the service from a page, and read its responses and its errors", () =>
    Effect.gen(function* () {
      const { send } = yield* start({ allowOrigins: ["https://app.test", "http://localhost:5173"] })
      const origin = { origin: "https://app.test", "sec-fetch-site": "cross-site" }
      const preflight = yield* send("OPTIONS", "/create_session", {
        ...origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-api-key",
        "access-control-request-private-network": "true"
      })
      assert.strictEqual(preflight.status, 204)
      assert.strictEqual(preflight.headers["access-control-allow-origin"], "https://app.test")
      assert.include(preflight.headers["access-control-allow-methods"], "POST")
      assert.strictEqual(preflight.headers["access-control-allow-headers"], "content-type,x-api-key")
      assert.strictEqual(preflight.headers["access-control-allow-private-network"], "true")
      for (const [status, body] of [
        [200, session],
        [422, "{}"]
      ] as const) {
        const posted = yield* send("POST", "/create_session", { ...json, ...origin }, body)
        assert.strictEqual(posted.status, status)
        assert.strictEqual(posted.headers["access-control-allow-origin"], "https://app.test")
        assert.include(posted.headers["vary"], "Origin")
      }
      assert.strictEqual((yield* send("GET", "/healthz", { origin: page })).status, 403)
      assert.notProperty((yield* send("GET", "/healthz", {})).headers, "access-control-allow-origin")
    })
  )

  it.scopedLive("are exact: anything else is rejected when the service starts", () =>
    Effect.gen(function* () {
      for (const origin of ["*", "https://app.test/", "app.test", "https://*.test", "null", ""]) {
        const layer = serverLayer({ allowOrigins: [origin] })
        const error = yield* Effect.flip(Layer.build(layer))
        assert.strictEqual(error._tag, "InvalidOrigin", origin)
        assert.include(error.message, JSON.stringify(origin))
      }
    })
  )
})

describe("a service with keys, and a web page", () => {
  it.scopedLive("rejects other origins as well, and is served under any host", () =>
    Effect.gen(function* () {
      const { send } = yield* start({ apiKeys: [Redacted.make("tml-secret")] })
      const key = { "x-api-key": "tml-secret", host: "tinker.example" }
      assert.strictEqual((yield* send("GET", "/healthz", key)).status, 200)
      assert.strictEqual((yield* send("GET", "/healthz", { ...key, origin: page })).status, 403)
      assert.strictEqual((yield* send("GET", "/healthz", { ...key, origin: "https://tinker.example" })).status, 200)
      assert.strictEqual((yield* send("GET", "/healthz", { ...key, "sec-fetch-site": "cross-site" })).status, 403)
      // a signed URL is a capability: a link to it works on any page
      const link = yield* send("GET", "/downloads/run/weights/x/archive", {
        host: "tinker.example",
        "sec-fetch-site": "cross-site"
      })
      assert.notStrictEqual(link.status, 200)
      assert.include(link.body, "signature")
    })
  )
})
