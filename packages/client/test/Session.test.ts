import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer, Logger, Redacted, TestClock } from "effect"
import { connect, json, scripted } from "./utils/services.ts"

type Body = Record<string, never>
const bodies = (http: ScriptedHttpClient.ScriptedHttpClient, path: string) =>
  Effect.map(http.requestsTo(path), (requests) => requests.map(({ body }) => body as Body))

const finishes = (http: ScriptedHttpClient.ScriptedHttpClient) =>
  Effect.map(bodies(http, "/sessions/session-1/finish"), (found) =>
    found.map(({ reason }) => (reason as { type: string }).type)
  )

describe("a session", () => {
  it.scoped("is finished when its scope closes, with the reason", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({ "/sessions/session-1/finish": json({}) })
      const run = <A, E>(program: Effect.Effect<A, E>) =>
        ServiceClient.ServiceClient.pipe(Effect.andThen(program), Effect.provide(connect(http)))
      yield* run(Effect.void)
      yield* Effect.exit(run(Effect.fail(new Error("mine"))))
      const fiber = yield* Effect.fork(run(Effect.never))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* finishes(http), ["success", "errored", "interrupted"])
    })
  )

  it.scoped("has its models unloaded where the service cannot finish sessions", () =>
    Effect.gen(function* () {
      for (const [status, unloaded] of [
        [404, ["model-1"]],
        [405, ["model-1"]],
        [200, []],
        [500, []]
      ] as const) {
        const http = yield* scripted.make({
          "/sessions/session-1/finish": json({}, { status }),
          "/unload_model": json({ request_id: "Unload" })
        })
        yield* Effect.flatMap(ServiceClient.ServiceClient, (service) =>
          service.createLoraTrainingClient({ base_model: "base" })
        ).pipe(Effect.scoped, Effect.provide(connect(http)))
        const ids = (yield* bodies(http, "/unload_model")).map(({ model_id }) => model_id as string)
        assert.deepStrictEqual(ids, Array.from(unloaded))
      }
    })
  )

  it.scoped("closes within five seconds even if the service does not respond, and keeps the program's error", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/sessions/session-1/finish": ScriptedHttpClient.silence,
        "/telemetry": ScriptedHttpClient.silence
      })
      const fiber = yield* Effect.fork(
        ServiceClient.ServiceClient.pipe(Effect.andThen(Effect.fail("mine")), Effect.provide(connect(http)))
      )
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.fail("mine"))
      assert.isAtMost(yield* Clock.currentTimeMillis, 5000)
    })
  )

  it.scoped("stops a program and sends no more heartbeats when the service has ended it", () =>
    Effect.gen(function* () {
      const gone = json({ detail: "session-1 was cancelled" }, { status: 410 })
      const http = yield* scripted.make({ "/session_heartbeat": [json({}), gone] })
      const fiber = yield* Effect.fork(
        Effect.flatMap(ServiceClient.ServiceClient, ({ sessionLost }) =>
          Effect.raceFirst(Effect.never, sessionLost)
        ).pipe(Effect.provide(connect(http)))
      )
      yield* TestClock.adjust("1 minute")
      const lost = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(lost._tag, "SessionLost")
      assert.isTrue(TinkerError.isTinkerError(lost))
      assert.include(lost.message, "session-1 has ended: session-1 was cancelled")
      assert.strictEqual((yield* http.requestsTo("/session_heartbeat")).length, 2)
      assert.deepStrictEqual(yield* finishes(http), [], "it is not finished again")
    })
  )

  it.scoped("is lost as well when the service no longer knows it, unless the service has no heartbeats at all", () =>
    Effect.gen(function* () {
      const unknown = json({ detail: "Not Found" }, { status: 404 })
      const state = (http: ScriptedHttpClient.ScriptedHttpClient) =>
        Effect.gen(function* () {
          const { sessionLost } = yield* ServiceClient.ServiceClient
          const fiber = yield* Effect.fork(Effect.flip(sessionLost))
          yield* TestClock.adjust("1 minute")
          return yield* Fiber.poll(fiber)
        }).pipe(Effect.provide(connect(http)))
      const never = yield* state(yield* scripted.make({ "/session_heartbeat": unknown }))
      assert.strictEqual(never._tag, "None")
      const forgotten = yield* state(yield* scripted.make({ "/session_heartbeat": [json({}), unknown] }))
      assert.strictEqual(forgotten._tag, "Some")
    })
  )

  it.scoped("warns after two minutes without a heartbeat, and continues", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const http = yield* scripted.make({
        "/session_heartbeat": ({ time }) => (time > 165_000 ? json({}) : json({}, { status: 503 }))
      })
      yield* TestClock.adjust("4 minutes").pipe(
        Effect.flatMap(() => ServiceClient.ServiceClient),
        Effect.provide(connect(http)),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      assert.strictEqual(lines.filter((line) => line.includes("no heartbeat")).length, 4, lines.join("\n"))
    })
  )

  it.scoped("ends on the embedded service when its scope closes", () =>
    Effect.gen(function* () {
      const { client, layer } = yield* TestServer.make()
      const options = { apiKey: Redacted.make("tml-key"), baseUrl: "http://any.test" }
      const first = ServiceClient.layer({ ...options, displayName: "a run", tags: ["t"] }).pipe(Layer.provide(layer))
      const id = yield* Effect.map(ServiceClient.ServiceClient, ({ sessionId }) => sessionId).pipe(
        Effect.provide(first)
      )
      const beat = HttpClientRequest.post("http://any.test/api/v1/session_heartbeat").pipe(
        HttpClientRequest.setHeader("x-api-key", "tml-key"),
        HttpClientRequest.bodyUnsafeJson({ session_id: id, type: "session_heartbeat" })
      )
      assert.strictEqual((yield* client.execute(beat)).status, 410)
    })
  )
})
