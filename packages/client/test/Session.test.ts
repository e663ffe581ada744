import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Telemetry from "@effect-tinker/client/Telemetry"
import type * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, ConfigProvider, Effect, Exit, Fiber, Layer, Logger, Redacted, TestClock } from "effect"
import { connect, json, scripted } from "./utils/services.ts"

const accepted = json({ status: "accepted" })

type Body = Record<string, never>
const bodies = (http: ScriptedHttpClient.ScriptedHttpClient, path: string) =>
  Effect.map(http.requestsTo(path), (requests) => requests.map(({ body }) => body as Body))

const finishes = (http: ScriptedHttpClient.ScriptedHttpClient) =>
  Effect.map(bodies(http, "/sessions/session-1/finish"), (found) =>
    found.map(({ reason }) => (reason as { type: string }).type)
  )

const events = (http: ScriptedHttpClient.ScriptedHttpClient) =>
  Effect.map(bodies(http, "/telemetry"), (batches) => batches.flatMap(({ events }) => events as Array<Body>))

describe("a session", () => {
  it.scoped("is finished with its scope, and the service is told how it went", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({ "/sessions/session-1/finish": json({}) })
      const run = <A, E>(program: Effect.Effect<A, E>) =>
        ServiceClient.ServiceClient.pipe(Effect.zipRight(program), Effect.provide(connect(http)))
      yield* run(Effect.void)
      yield* Effect.exit(run(Effect.fail(new Error("mine"))))
      const fiber = yield* Effect.fork(run(Effect.never))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* finishes(http), ["success", "errored", "interrupted"])
    })
  )

  it.scoped("closes within five seconds, whatever the service does, and does not hide the program's error", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/sessions/session-1/finish": ScriptedHttpClient.silence,
        "/telemetry": ScriptedHttpClient.silence
      })
      const fiber = yield* Effect.fork(
        ServiceClient.ServiceClient.pipe(Effect.zipRight(Effect.fail("mine")), Effect.provide(connect(http)))
      )
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.fail("mine"))
      assert.isAtMost(yield* Clock.currentTimeMillis, 5000)
    })
  )

  it.scoped("that the service has ended is an event that stops a program, and beats no more", () =>
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
      assert.deepStrictEqual(yield* finishes(http), [], "it has ended already")
    })
  )

  it.scoped("of a service that forgot it is lost as well, unless that knows no heartbeats at all", () =>
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

  it.scoped("warns after two minutes without a heartbeat, and goes on", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const http = yield* scripted.make({
        "/session_heartbeat": ({ time }) => (time > 165_000 ? json({}) : json({}, { status: 503 }))
      })
      yield* TestClock.adjust("4 minutes").pipe(
        Effect.zipRight(ServiceClient.ServiceClient),
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

describe("telemetry", () => {
  it.scoped("tells of the session and of failures, and never of a key or of content", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/telemetry": accepted,
        "/get_server_capabilities": [
          json({ detail: "echo tml-integration-key and eyJabcdefghij.eyJabc.sig" }, { status: 500 }),
          json({ supported_models: [] })
        ]
      })
      const program = Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const fiber = yield* Effect.fork(service.getServerCapabilities)
        yield* TestClock.adjust("65 seconds")
        yield* Fiber.join(fiber)
        return yield* Effect.die(new RangeError("my data is secret-content"))
      })
      yield* Effect.exit(Effect.provide(program, connect(http)))
      const all = yield* events(http)
      assert.deepStrictEqual(
        all.map((event) => event["event"] as string),
        ["SESSION_START", "GENERIC_EVENT", "UNHANDLED_EXCEPTION", "SESSION_END"]
      )
      assert.deepStrictEqual(
        all.map((event) => event["event_session_index"] as number),
        [0, 1, 2, 3]
      )
      assert.strictEqual(all[2]!["error_type"], "RangeError")
      assert.strictEqual(all[3]!["duration"], "0:01:05")
      const [batch] = yield* bodies(http, "/telemetry")
      assert.strictEqual(batch!["session_id"], "session-1")
      assert.strictEqual(batch!["platform"], process.platform === "linux" ? "Linux" : batch!["platform"])
      const text = JSON.stringify(yield* bodies(http, "/telemetry"))
      for (const secret of ["tml-integration-key", "eyJabc", "secret-content"]) assert.notInclude(text, secret)
      assert.strictEqual((all[1]!["event_data"] as Body)["status_code"], 500)
    })
  )

  it.scoped("tells a user's mistake apart", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/telemetry": accepted,
        "/get_server_capabilities": json({ detail: "no" }, { status: 403 })
      })
      yield* Effect.exit(
        Effect.flatMap(ServiceClient.ServiceClient, (service) => service.getServerCapabilities).pipe(
          Effect.provide(connect(http))
        )
      )
      const all = yield* events(http)
      assert.strictEqual(all[2]!["event_name"], "user_error")
      assert.strictEqual(all[2]!["severity"], "WARNING")
    })
  )

  it.scoped("is off when TINKER_TELEMETRY says so", () =>
    Effect.gen(function* () {
      for (const [value, expected] of [
        ["0", 0],
        ["no", 0],
        ["TRUE", 1]
      ] as const) {
        const http = yield* scripted.make({ "/telemetry": accepted })
        const options: TinkerConfig.Options = { apiKey: Redacted.make("tml-key"), baseUrl: "http://any.test" }
        yield* ServiceClient.ServiceClient.pipe(
          Effect.provide(ServiceClient.layerConfig(options)),
          Effect.provide(http.layer),
          Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["TINKER_TELEMETRY", value]])))
        )
        assert.strictEqual((yield* http.requestsTo("/telemetry")).length, expected, value)
      }
    })
  )

  const recorded = (answer: (events: number) => Effect.Effect<void, TinkerError.TinkerError>) =>
    Effect.gen(function* () {
      const batches: Array<{ readonly time: number; readonly size: number }> = []
      const telemetry = yield* Telemetry.make(({ events }) =>
        Effect.flatMap(Clock.currentTimeMillis, (time) => {
          batches.push({ time, size: events.length })
          return answer(events.length)
        })
      )
      return { batches, telemetry }
    })

  it.scoped("goes every ten seconds in batches of at most a hundred", () =>
    Effect.gen(function* () {
      const { batches, telemetry } = yield* recorded(() => Effect.void)
      yield* Effect.repeatN(telemetry.event("a"), 249)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(
        batches.map(({ size, time }) => [time, size]),
        [
          [10_000, 100],
          [10_000, 100],
          [10_000, 50]
        ]
      )
      yield* telemetry.event("b")
      yield* telemetry.flush
      assert.strictEqual(batches.length, 4)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(batches.length, 4, "nothing is sent where there is nothing to say")
    })
  )

  it.scoped("is bounded: the newest events are dropped, with one warning, and a batch is not sent for ever", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const busy = new TinkerError.TransportError({ method: "sendTelemetry", reason: "Timeout", url: "u" })
      const { batches, telemetry } = yield* recorded(() => busy)
      yield* Effect.repeatN(telemetry.event("a"), 10_010).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      assert.strictEqual(lines.length, 1)
      const flushing = yield* Effect.fork(telemetry.flush)
      yield* TestClock.adjust("10 minutes")
      yield* Fiber.join(flushing)
      assert.strictEqual(batches.length, 300)
      assert.strictEqual(batches.reduce((sum, { size }) => sum + size, 0) / 3, 10_000)
    })
  )

  it.scoped("ends with the first 404: the service does not take any", () =>
    Effect.gen(function* () {
      const none = new TinkerError.NotFound({ method: "sendTelemetry", status: 404, detail: "" })
      const { batches, telemetry } = yield* recorded(() => none)
      yield* Effect.repeatN(telemetry.event("a"), 500)
      yield* telemetry.failure(Cause.die("x"))
      yield* telemetry.flush
      yield* telemetry.event("b")
      yield* telemetry.flush
      assert.strictEqual(batches.length, 1)
    })
  )
})
