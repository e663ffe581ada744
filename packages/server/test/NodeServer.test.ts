import * as AnyHost from "@effect-tinker/testing/AnyHost"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpServer from "@effect/platform/HttpServer"
import { assert, describe, it } from "@effect/vitest"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as client from "./utils/client.ts"
import { rawExchange } from "./utils/rawHttp.ts"

const services = Layer.mergeAll(TestEngine.layer(), CheckpointStore.layerMemory, Store.layerMemory)

/** A client that sends all requests to the server. */
const redirected = (context: Context.Context<HttpServer.HttpServer>) =>
  Effect.gen(function* () {
    const base = yield* Effect.provide(NodeServer.baseUrl, context)
    return AnyHost.redirect(yield* HttpClient.HttpClient, base)
  })

const listen = (options: NodeServer.Options = {}) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(NodeServer.layer(options).pipe(Layer.provide(services)))
    return Layer.succeed(HttpClient.HttpClient, yield* redirected(context))
  })

describe("NodeServer", () => {
  it.scopedLive("trains and samples over a socket", () =>
    Effect.gen(function* () {
      const layer = yield* listen()
      yield* Effect.gen(function* () {
        const session = yield* client.createSession
        const model = yield* client.createModel(session)
        const losses: Array<number> = []
        for (let step = 0; step < 5; step++) {
          const pass = yield* client.ok(client.forwardBackward(model))
          const stepped = yield* client.ok(client.optimStep(model))
          losses.push((yield* client.result(pass.request_id)).metrics["loss:sum"])
          yield* client.result(stepped.request_id)
        }
        assert.isBelow(losses[4]!, losses[0]!)
        const saved = yield* client.run("/save_weights_for_sampler", { model_id: model })
        const sampled = yield* client.run("/asample", client.sampleRequest(saved.sampling_session_id, 0))
        assert.strictEqual(sampled.sequences[0].tokens.length, 4)
        // larger than the default limit of the platform
        const forward = yield* client.post("/forward", {
          model_id: model,
          forward_input: client.input(client.datum([1, 2])),
          // lists of numbers are bounded by the size of the body alone
          pad: Array.from({ length: 6_000_000 }, () => 0)
        })
        assert.strictEqual(forward.status, 200)
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.scopedLive("sends every error response with a length and a JSON body", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(NodeServer.layer({ maxBodySize: 1000 }).pipe(Layer.provide(services)))
      const port = Number(new URL(yield* Effect.provide(NodeServer.baseUrl, context)).port)
      const request = (line: string, body: string, type = "application/json") =>
        rawExchange(
          port,
          `${line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
        )
      const cases = [
        [422, yield* request("POST /api/v1/create_session", "{")],
        [422, yield* request("POST /api/v1/create_session", "")],
        [422, yield* request("POST /api/v1/create_session", "{}")],
        [415, yield* request("POST /api/v1/create_session", "x", "multipart/form-data; boundary=y")],
        [413, yield* request("POST /api/v1/create_session", JSON.stringify({ pad: "x".repeat(2000) }))],
        [404, yield* request("GET /api/v1/nothing", "")],
        [404, yield* request("POST /api/v1/session_heartbeat", JSON.stringify({ session_id: "x" }))]
      ] as const
      for (const [status, response] of cases) {
        const [head, body] = response.split("\r\n\r\n") as [string, string]
        assert.include(head, `HTTP/1.1 ${status} `)
        assert.match(head, new RegExp(`content-length: ${body.length}(\r\n|$)`, "i"))
        assert.isString(JSON.parse(body).detail)
      }
    })
  )

  it.scopedLive("listens on a public address only if it has API keys", () =>
    Effect.gen(function* () {
      for (const host of ["0.0.0.0", "::", "", "192.168.0.1", "127.evil.test"]) {
        const error = yield* Effect.flip(Layer.build(NodeServer.layer({ host }).pipe(Layer.provide(services))))
        assert.strictEqual(error._tag, "ExposedWithoutKeys")
      }
      const layer = yield* listen({ host: "0.0.0.0", apiKeys: [Redacted.make("tml-secret")] })
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* client.get("/healthz")).status, 401)
        const config = yield* client.post("/client/config", { sdk_version: "x" }, { "X-API-Key": "tml-secret" })
        assert.strictEqual(config.status, 200)
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.scopedLive("fails if the port is in use", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(NodeServer.layer().pipe(Layer.provide(services)))
      const port = Number(new URL(yield* Effect.provide(NodeServer.baseUrl, context)).port)
      const error = yield* Effect.flip(Layer.build(NodeServer.layer({ port }).pipe(Layer.provide(services))))
      assert.strictEqual(error._tag, "ServeError")
    })
  )

  it.live("closes at once although a client polls and keeps its connection open", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const engine = yield* TestEngine.make({
        before: ({ name }) => (name === "forwardBackward" ? Effect.never : Effect.void)
      })
      const context = yield* Layer.build(
        NodeServer.layer().pipe(Layer.provide([engine.layer, CheckpointStore.layerMemory, Store.layerMemory]))
      ).pipe(Scope.extend(scope))
      const layer = Layer.succeed(HttpClient.HttpClient, yield* redirected(context))
      yield* Effect.gen(function* () {
        const model = yield* client.createModel(yield* client.createSession)
        const { request_id } = yield* client.ok(client.forwardBackward(model))
        const poll = yield* Effect.fork(client.poll(request_id))
        yield* Effect.sleep("50 millis")
        const [elapsed] = yield* Effect.timed(Scope.close(scope, Exit.void))
        assert.isBelow(Duration.toMillis(elapsed), 1500)
        assert.strictEqual((yield* Fiber.join(poll)).body.type, "try_again")
        assert.deepStrictEqual(yield* engine.live, { models: 0, samplers: 0 })
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )
})
