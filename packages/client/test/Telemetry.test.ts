import * as RestClient from "@effect-tinker/client/RestClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Telemetry from "@effect-tinker/client/Telemetry"
import type * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, ConfigProvider, Effect, Fiber, Logger, Redacted, TestClock } from "effect"
import { connect, json, scripted } from "./utils/services.ts"

const accepted = json({ status: "accepted" })

type Body = Record<string, never>
const bodies = (http: ScriptedHttpClient.ScriptedHttpClient, path: string) =>
  Effect.map(http.requestsTo(path), (requests) => requests.map(({ body }) => body as Body))

const events = (http: ScriptedHttpClient.ScriptedHttpClient) =>
  Effect.map(bodies(http, "/telemetry"), (batches) => batches.flatMap(({ events }) => events as Array<Body>))

describe("telemetry", () => {
  it.scoped("reports the session and failures, and never a key or content", () =>
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

  it.scoped("reports a user's mistake as a user error", () =>
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

  it.scoped("is off unless TINKER_TELEMETRY is true", () =>
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

  it.scoped("is sent every ten seconds in batches of at most a hundred events", () =>
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
      assert.strictEqual(batches.length, 4, "nothing is sent if there are no events")
    })
  )

  it.scoped("drops the newest events with one warning when its queue is full, and a batch after three attempts", () =>
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

  it.scoped("does not hold up the end of a program", () =>
    Effect.gen(function* () {
      const busy = new TinkerError.ServerError({ method: "sendTelemetry", status: 503, detail: "" })
      const attempts: Array<number> = []
      for (const isReachable of [true, false]) {
        let count = 0
        const send = () =>
          Effect.andThen(
            Effect.sync(() => void count++),
            busy
          )
        yield* Telemetry.make(send, () => isReachable).pipe(
          Effect.flatMap((telemetry) => Effect.repeatN(telemetry.event("a"), 250)),
          Effect.scoped
        )
        attempts.push(count)
      }
      // the clock of the test stands still: nothing has waited
      assert.deepStrictEqual(attempts, [1, 0])
    })
  )

  it.scoped("is not waited for at the end where the service gave no response", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/get_server_capabilities": ScriptedHttpClient.connectionLost,
        "/telemetry": ScriptedHttpClient.silence
      })
      const asking = Effect.flatMap(RestClient.RestClient, (rest) => rest.getServerCapabilities).pipe(
        RetryPolicy.withRetryPolicy(RetryPolicy.never),
        Effect.provide(RestClient.layer({ apiKey: Redacted.make("tml-key"), baseUrl: "http://any.test" })),
        Effect.provide(http.layer)
      )
      assert.strictEqual((yield* Effect.flip(asking))._tag, "TransportError")
      assert.deepStrictEqual(yield* http.requestsTo("/telemetry"), [])
    })
  )

  it.scoped("takes any data: what JSON cannot hold and what is too large is named, not sent", () =>
    Effect.gen(function* () {
      const sent: Array<unknown> = []
      const telemetry = yield* Telemetry.make(({ events }) => Effect.sync(() => void sent.push(...events)))
      const circle: { self?: unknown } = {}
      circle.self = circle
      for (const data of [circle, { big: 1n }, { long: "x".repeat(20_000) }, { fine: 1 }]) {
        yield* telemetry.event("mine", data)
      }
      yield* telemetry.flush
      assert.deepStrictEqual(
        sent.map((event) => (event as { event_data: unknown }).event_data),
        [
          { dropped: "JSON cannot hold it" },
          { dropped: "JSON cannot hold it" },
          { dropped: "more than 10000 characters" },
          { fine: 1 }
        ]
      )
    })
  )

  it.scoped("ends with the first 404, since the service has no telemetry endpoint", () =>
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
