import { readFileSync } from "node:fs"
import * as AnyHost from "@effect-tinker/testing/AnyHost"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Store from "@effect-tinker/server/Store"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as client from "../utils/client.ts"
import { listen } from "../utils/nodeServer.ts"
import { rawRequest } from "../utils/rawHttp.ts"

const get = (port: number, path: string, headers: { readonly [name: string]: string } = {}) =>
  rawRequest(port, "GET", path, { host: "localhost", ...headers })

/** A server whose forward passes wait until they are released. */
const startGated = (drain: string) =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const scope = yield* Scope.make()
    const engine = yield* TestEngine.make({
      before: ({ name }) => (name === "forwardBackward" ? Deferred.await(gate) : Effect.void)
    })
    const context = yield* Layer.build(
      NodeServer.layer({ drain: drain as "1 second" }).pipe(
        Layer.provide([engine.layer, CheckpointStore.layerMemory, Store.layerMemory])
      )
    ).pipe(Scope.extend(scope))
    const url = yield* Effect.provide(NodeServer.baseUrl, context)
    const http = AnyHost.redirect(yield* HttpClient.HttpClient, url)
    return {
      layer: Layer.succeed(HttpClient.HttpClient, http),
      close: Scope.close(scope, Exit.void),
      release: Deferred.succeed(gate, undefined)
    }
  })

const isDraining = Effect.map(client.get("/readyz"), ({ status }) => status === 503)

const untilDraining: Effect.Effect<void, never, HttpClient.HttpClient> = Effect.flatMap(isDraining, (draining) =>
  draining ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), untilDraining)
)

describe("a service that stops", () => {
  it.live("finishes what runs and delivers its result, and rejects new work with 503 meanwhile", () =>
    Effect.gen(function* () {
      const { close, layer, release } = yield* startGated("20 seconds")
      yield* Effect.gen(function* () {
        const session = yield* client.createSession
        const model = yield* client.createModel(session)
        const { request_id } = yield* client.ok(client.forwardBackward(model, 1))
        assert.strictEqual((yield* client.get("/readyz")).status, 200)
        const closing = yield* Effect.fork(close)
        yield* untilDraining
        const refused = yield* client.post("/create_session", { tags: [], user_metadata: {}, sdk_version: "x" })
        assert.strictEqual(refused.status, 503)
        assert.strictEqual(refused.headers["retry-after"], "1")
        assert.strictEqual((yield* client.optimStep(model, 2)).status, 503)
        assert.strictEqual(
          (yield* client.post("/create_model", {
            session_id: session,
            model_seq_id: 1,
            base_model: TestEngine.baseModel
          })).status,
          503
        )
        assert.strictEqual((yield* client.post("/session_heartbeat", { session_id: session })).status, 200)
        assert.strictEqual((yield* client.get("/healthz")).status, 200)
        yield* release
        assert.property(yield* client.result(request_id), "loss_fn_outputs")
        yield* Fiber.join(closing)
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.live("accepts an operation that others wait for, so that they end", () =>
    Effect.gen(function* () {
      const { close, layer, release } = yield* startGated("20 seconds")
      yield* Effect.gen(function* () {
        yield* release
        const model = yield* client.createModel(yield* client.createSession)
        const second = yield* client.ok(client.forwardBackward(model, 2))
        const closing = yield* Effect.fork(close)
        yield* untilDraining
        const first = yield* client.ok(client.forwardBackward(model, 1))
        assert.property(yield* client.result(first.request_id), "loss_fn_outputs")
        assert.property(yield* client.result(second.request_id), "loss_fn_outputs")
        yield* Fiber.join(closing)
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.live("stops after its time, whatever runs", () =>
    Effect.gen(function* () {
      const { close, layer } = yield* startGated("100 millis")
      yield* Effect.gen(function* () {
        const model = yield* client.createModel(yield* client.createSession)
        yield* client.ok(client.forwardBackward(model, 1))
        yield* close
        assert.isTrue(Exit.isFailure(yield* Effect.exit(client.get("/healthz"))))
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )
})

describe("the routes of the operator", () => {
  it.scopedLive("report metrics without anything that users chose", () =>
    Effect.gen(function* () {
      const port = yield* listen()
      const path = "/api/v1/training_runs/secret-run/checkpoints"
      yield* get(port, path)
      yield* get(port, "/api/v1/secret")
      const { body, headers } = yield* get(port, "/metrics")
      assert.include(headers["content-type"], "text/plain; version=0.0.4")
      assert.match(body, /^tinker_server_requests_total\{endpoint="listCheckpoints",status="404"\} \d+$/m)
      assert.match(body, /^tinker_server_requests_total\{endpoint="other",status="404"\} \d+$/m)
      assert.match(body, /^tinker_server_request_duration_seconds_bucket\{endpoint="other",le="\+Inf"\} \d+$/m)
      assert.match(body, /^tinker_server_operations\{state="queued"\} 0$/m)
      assert.match(body, /^tinker_server_sessions 0$/m)
      assert.notInclude(body, "secret")
      // the grammar of the format
      for (const line of body.trimEnd().split("\n")) {
        assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.e+-]+)$/)
      }
    })
  )

  it.scoped("have every metric that the dashboard asks for, under its name", () =>
    Effect.gen(function* () {
      const dashboard = readFileSync(new URL("../../../../docs/observability/dashboard.json", import.meta.url), "utf8")
      const asked = new Set(Array.from(dashboard.matchAll(/tinker_server_\w+/g), ([name]) => name))
      assert.isAtLeast(asked.size, 5)
      const server = yield* client.start()
      const text = yield* Effect.gen(function* () {
        const model = yield* client.createModel(yield* client.createSession)
        const { request_id } = yield* client.ok(client.forwardBackward(model, 1))
        yield* client.result(request_id)
        const http = yield* HttpClient.HttpClient
        return yield* Effect.flatMap(http.get("http://tinker.test/metrics"), ({ text }) => text)
      }).pipe(Effect.provide(server.layer))
      for (const name of asked) assert.match(text, new RegExp(`^${name}[{ ]`, "m"))
    })
  )

  it.scopedLive("need a key for metrics, and none for readiness", () =>
    Effect.gen(function* () {
      const port = yield* listen({ apiKeys: [Redacted.make("tml-a")] })
      assert.strictEqual((yield* get(port, "/metrics")).status, 401)
      assert.strictEqual((yield* get(port, "/metrics", { "x-api-key": "tml-a" })).status, 200)
      assert.strictEqual((yield* get(port, "/api/v1/readyz")).status, 200)
      assert.strictEqual((yield* get(port, "/api/v1/readyz/../checkpoints")).status, 401)
    })
  )

  it.scopedLive("are no way for web pages to read the metrics", () =>
    Effect.gen(function* () {
      const port = yield* listen()
      assert.strictEqual((yield* get(port, "/metrics", { origin: "https://evil.example" })).status, 403)
      assert.strictEqual((yield* rawRequest(port, "GET", "/metrics", { host: "evil.example" })).status, 421)
    })
  )
})

describe("the log of requests", () => {
  it.scopedLive("has one line for each at debug level: its id, and neither query nor key", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => void lines.push(String(message)))
      )
      const context = yield* Layer.build(
        NodeServer.layer({ apiKeys: [Redacted.make("tml-secret")] }).pipe(
          Layer.provide([TestEngine.layer(), CheckpointStore.layerMemory, Store.layerMemory]),
          Layer.provide([logger, Logger.minimumLogLevel(LogLevel.Debug)])
        )
      )
      const port = Number(new URL(yield* Effect.provide(NodeServer.baseUrl, context)).port)
      const good = yield* get(port, "/api/v1/healthz?signature=abc", { "x-api-key": "tml-secret" })
      const bad = yield* get(port, "/api/v1/healthz", { "x-api-key": "tml-wrong", "x-request-id": "proxy-7" })
      const foreign = yield* get(port, "/api/v1/healthz", { origin: "https://evil.example" })
      assert.deepStrictEqual([good.status, bad.status, foreign.status], [200, 401, 403])
      const requests = lines.filter((line) => line.startsWith("request "))
      assert.strictEqual(requests.length, 3)
      assert.match(requests[0]!, /^request [\da-f-]{36}: GET \/api\/v1\/healthz 200 in \d+ ms, user user-[\da-f]{12}$/)
      assert.include(requests[0], good.headers["x-request-id"])
      assert.match(requests[1]!, /^request proxy-7: GET \/api\/v1\/healthz 401 in \d+ ms, user unknown$/)
      assert.match(requests[2]!, / 403 in /)
      assert.notMatch(lines.join("\n"), /secret|wrong|signature/)
    })
  )
})
