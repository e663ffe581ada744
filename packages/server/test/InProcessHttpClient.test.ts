import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as TinkerService from "@effect-tinker/server/TinkerService"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as client from "./utils/client.ts"
import { collect } from "./utils/garbage.ts"

class Greeting extends Context.Tag("test/Greeting")<Greeting, string>() {}

let interrupted = 0

const app = HttpRouter.empty.pipe(
  HttpRouter.post(
    "/echo",
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const body = yield* request.json
      const { url, originalUrl, headers, method } = request
      return HttpServerResponse.unsafeJson({ body, url, originalUrl, method, headers })
    })
  ),
  HttpRouter.post(
    "/bytes",
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.map(request.arrayBuffer, (buffer) => HttpServerResponse.uint8Array(new Uint8Array(buffer).reverse()))
    )
  ),
  HttpRouter.get(
    "/greeting",
    Effect.map(Greeting, (text) => HttpServerResponse.text(text))
  ),
  HttpRouter.get("/stream", HttpServerResponse.stream(Stream.encodeText(Stream.make("a", "b", "c")))),
  HttpRouter.get("/die", Effect.dieMessage("bug")),
  HttpRouter.get("/fail", Effect.fail("expected")),
  HttpRouter.get("/empty", HttpServerResponse.empty({ status: 204 })),
  HttpRouter.get("/sleep", Effect.delay(HttpServerResponse.text("late"), "30 seconds")),
  HttpRouter.get(
    "/never",
    Effect.onInterrupt(Effect.never, () =>
      Effect.sync(() => {
        interrupted++
      })
    )
  )
)

/** Bytes in use after garbage has been collected. */
const heap = () => {
  collect()
  return process.memoryUsage().heapUsed
}

const url = (path: string) => `http://any.test${path}`

const make = InProcessHttpClient.fromHttpApp(app).pipe(Effect.provideService(Greeting, "hello"))

describe("InProcessHttpClient", () => {
  it.effect("transfers requests and responses as a socket does", () =>
    Effect.gen(function* () {
      const http = yield* make
      const request = HttpClientRequest.post(url("/echo?a=1&a=2")).pipe(
        HttpClientRequest.bodyUnsafeJson({ x: [1, "ä"] }),
        HttpClientRequest.setHeader("X-Some", "thing")
      )
      const response = yield* http.execute(request)
      assert.strictEqual(response.status, 200)
      const echoed = (yield* response.json) as Record<string, unknown>
      assert.deepStrictEqual(echoed["body"], { x: [1, "ä"] })
      assert.strictEqual(echoed["url"], "/echo?a=1&a=2")
      assert.strictEqual(echoed["originalUrl"], "http://any.test/echo?a=1&a=2")
      const headers = echoed["headers"] as Record<string, string>
      assert.strictEqual(headers["x-some"], "thing")
      assert.strictEqual(headers["content-type"], "application/json")
      assert.strictEqual(headers["content-length"], "14")
      assert.strictEqual(headers["host"], "any.test")
      assert.strictEqual(response.headers["content-length"], String((yield* response.text).length + 1))
      assert.include(JSON.stringify(response), "application/json")

      const streamed = HttpClientRequest.post(url("/bytes")).pipe(
        HttpClientRequest.setBody(HttpBody.stream(Stream.make(Uint8Array.of(1, 2), Uint8Array.of(3))))
      )
      const bytes = yield* Effect.flatMap(http.execute(streamed), (response) => response.arrayBuffer)
      assert.deepStrictEqual(new Uint8Array(bytes), Uint8Array.of(3, 2, 1))
      assert.strictEqual(yield* Effect.flatMap(http.get(url("/greeting")), (response) => response.text), "hello")
      const stream = yield* http.get(url("/stream"))
      assert.strictEqual(yield* Stream.mkString(Stream.decodeText(stream.stream)), "abc")
      const empty = yield* http.get(url("/empty"))
      assert.deepStrictEqual([empty.status, yield* empty.text], [204, ""])
    })
  )

  it.effect("responds with 404 or 500 when the app fails", () =>
    Effect.gen(function* () {
      const http = yield* make
      const status = (path: string) => Effect.map(http.get(url(path)), (response) => response.status)
      assert.strictEqual(yield* status("/nothing"), 404)
      assert.strictEqual(yield* status("/die"), 500)
      assert.strictEqual(yield* status("/fail"), 500)
    })
  )

  it.effect("shares the clock with the app, and interrupts its handlers", () =>
    Effect.gen(function* () {
      const http = yield* make
      const late = yield* Effect.fork(Effect.flatMap(http.get(url("/sleep")), (response) => response.text))
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual((yield* Fiber.poll(late))._tag, "None")
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* Fiber.join(late), "late")

      const before = interrupted
      const never = yield* Effect.fork(http.get(url("/never")))
      yield* TestClock.adjust("1 hour")
      yield* Fiber.interrupt(never)
      assert.strictEqual(interrupted, before + 1)
      const timed = yield* Effect.fork(Effect.timeoutOption(http.get(url("/never")), "5 seconds"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(timed))._tag, "None")
      assert.strictEqual(interrupted, before + 2)
    })
  )

  it.scoped("interrupts a poll without interrupting its operation", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { layer } = yield* client.start(
        {},
        { before: ({ name }) => (name === "forwardBackward" ? Deferred.await(gate) : Effect.void) }
      )
      yield* Effect.gen(function* () {
        const model = yield* client.createModel(yield* client.createSession)
        // even when the request that sent it is interrupted
        const { request_id } = yield* client.ok(client.forwardBackward(model, 1))
        const poll = yield* Effect.fork(client.poll(request_id))
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.interrupt(poll)
        yield* Deferred.succeed(gate, undefined)
        assert.property(yield* client.result(request_id), "metrics")
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("retains nothing of a response that is never read, even if the program never yields", () =>
    Effect.gen(function* () {
      const http = yield* make
      const requests = Effect.repeatN(http.get(url("/greeting")), 4999)
      const grown = Effect.runSync(
        Effect.gen(function* () {
          yield* requests
          const before = heap()
          yield* requests
          return heap() - before
        })
      )
      // bytes for each response; a registration for garbage collection takes hundreds
      assert.isBelow(grown / 5000, 50)
    })
  )

  it.scoped("creates a service for each layer, and clients of one service share its state", () =>
    Effect.gen(function* () {
      const { layer: one } = yield* client.start()
      const { layer: two } = yield* client.start({}, { models: ["other"] })
      const session = yield* Effect.provide(client.createSession, one)
      const heartbeat = client.post("/session_heartbeat", { session_id: session })
      assert.strictEqual((yield* Effect.provide(heartbeat, one)).status, 200)
      assert.strictEqual((yield* Effect.provide(heartbeat, two)).status, 404)

      const shared = yield* Layer.build(
        TinkerService.layer().pipe(Layer.provide([TestEngine.layer(), CheckpointStore.layerMemory, Store.layerMemory]))
      )
      const first = yield* Effect.provide(Layer.build(InProcessHttpClient.layerClient()), shared)
      const second = yield* Effect.provide(Layer.build(InProcessHttpClient.layerClient()), shared)
      const id = yield* Effect.provide(client.createSession, first)
      const heartbeatResponse = yield* Effect.provide(client.post("/session_heartbeat", { session_id: id }), second)
      assert.strictEqual(heartbeatResponse.status, 200)
      assert.notStrictEqual(Context.get(first, HttpClient.HttpClient), Context.get(second, HttpClient.HttpClient))
    })
  )
})
