import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as TinkerClient from "@effect-tinker/client/TinkerClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Fiber, Layer, Logger, Redacted, TestClock } from "effect"
import { over, ways } from "./utils/services.ts"
import { failureOf } from "./utils/exits.ts"
import { errorResponse } from "./utils/trainingRun.ts"

const { json } = ScriptedHttpClient
const nothing = undefined as never
const capabilities = json({ supported_models: [] })
// runs an effect while the clock moves
const settle = <A, E>(effect: Effect.Effect<A, E>, time: string = "20 minutes") =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust(time as "20 minutes")
    return yield* Fiber.await(fiber)
  })

const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`))
    const value = yield* Effect.provide(effect, Logger.replace(Logger.defaultLogger, logger))
    return { value, lines }
  })

describe.each(ways)("TinkerClient over %s", (way) => {
  const start = (
    script: Record<string, ScriptedHttpClient.Step | ReadonlyArray<ScriptedHttpClient.Step>>,
    options: TinkerConfig.Options = {},
    env: Record<string, string> = {}
  ) =>
    Effect.gen(function* () {
      const http = yield* ScriptedHttpClient.make({ "/client/config": json({}), ...script })
      const config = TinkerConfig.layerConfig({
        apiKey: Redacted.make("tml-key"),
        baseUrl: "http://any.test",
        telemetry: false,
        ...options
      }).pipe(Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env))))))
      const context = yield* Layer.build(
        TinkerClient.layer.pipe(Layer.provide(config), Layer.provide(over(way, http.layer)))
      )
      const client = yield* Effect.provide(TinkerClient.TinkerClient, context)
      const ask = (options?: TinkerClient.CallOptions) => client.call(TinkerApi.getServerCapabilities, nothing, options)
      return { http, client, ask, attempts: http.requestsTo("/get_server_capabilities") }
    })

  describe("the headers of a request", () => {
    it.scoped("name the client, its version, platform and method", () =>
      Effect.gen(function* () {
        const { ask, client, http } = yield* start({
          "/get_server_capabilities": capabilities,
          "/create_session": json({ session_id: "s" })
        })
        yield* ask({ method: "getServerCapabilities" })
        const body = { tags: [], user_metadata: {}, sdk_version: "1", type: "create_session" } as const
        yield* client.call(TinkerApi.createSession, body)
        const [get] = yield* http.requestsTo("/get_server_capabilities")
        const [post] = yield* http.requestsTo("/create_session")
        assert.match(get!.headers["user-agent"]!, /^effect-tinker\/\d+\.\d+\.\d+$/)
        const version = get!.headers["user-agent"]!.split("/")[1]
        assert.strictEqual(get!.headers["x-sdk-version"], version)
        assert.strictEqual(get!.headers["x-stainless-package-version"], version)
        assert.strictEqual(get!.headers["x-stainless-runtime"], "node")
        assert.strictEqual(get!.headers["x-stainless-runtime-version"], process.versions.node)
        assert.strictEqual(get!.headers["x-stainless-retry-count"], "0")
        assert.strictEqual(get!.headers["x-stainless-read-timeout"], "60")
        assert.isDefined(get!.headers["x-stainless-os"])
        assert.isDefined(get!.headers["x-stainless-arch"])
        assert.match(get!.headers["x-sdk-method"]!, /\.getServerCapabilities$/)
        assert.isUndefined(get!.headers["x-idempotency-key"])
        assert.isUndefined(post!.headers["x-sdk-method"], "no method of a user's stands behind it")
        assert.match(post!.headers["x-idempotency-key"]!, /^effect-tinker-[0-9a-f]{8}-[0-9a-f]{4}-4/)
        assert.strictEqual(post!.headers["content-type"], "application/json")
      })
    )

    it.scoped("include those of gateways, from the environment and from options, which are never shown", () =>
      Effect.gen(function* () {
        const { ask, client, http } = yield* start(
          { "/get_server_capabilities": capabilities },
          { headers: { "X-Team": "blue" } },
          { CLOUDFLARE_ACCESS_CLIENT_ID: "id", CLOUDFLARE_ACCESS_CLIENT_SECRET: "hush" }
        )
        yield* ask()
        const [request] = yield* http.requestsTo("/get_server_capabilities")
        assert.strictEqual(request!.headers["cf-access-client-id"], "id")
        assert.strictEqual(request!.headers["cf-access-client-secret"], "hush")
        assert.strictEqual(request!.headers["x-team"], "blue")
        assert.notInclude(JSON.stringify(client.config), "hush")
        const refused = yield* Effect.flip(start({}, { headers: { "bad name": "x" } }))
        assert.strictEqual(refused.path, "headers.bad name")
      })
    )

    it.scoped("are overridden by those of a call, also the key", () =>
      Effect.gen(function* () {
        const { ask, http } = yield* start({ "/get_server_capabilities": capabilities })
        yield* ask({ headers: { "x-api-key": "tml-another" } })
        const [request] = yield* http.requestsTo("/get_server_capabilities")
        assert.strictEqual(request!.headers["x-api-key"], "tml-another")
      })
    )

    it.scoped("are logged once if they announce a deprecation in a response", () =>
      Effect.gen(function* () {
        const note = (text: string, level?: string) =>
          json(
            { supported_models: [] },
            {
              headers: {
                "x-deprecation-note": text,
                ...(level === undefined ? {} : { "x-deprecation-level": level })
              }
            }
          )
        const { lines } = yield* logged(
          Effect.gen(function* () {
            const { ask } = yield* start({
              "/get_server_capabilities": [note("old"), note("old"), note("older", "error")]
            })
            yield* Effect.all([ask(), ask(), ask(), ask()])
          })
        )
        assert.deepStrictEqual(lines, ["WARN getServerCapabilities: old", "ERROR getServerCapabilities: older"])
      })
    )
  })

  describe("the retry policy", () => {
    const outcome = (step: ScriptedHttpClient.Step) =>
      Effect.gen(function* () {
        const { ask, attempts } = yield* start({ "/get_server_capabilities": [step, capabilities] })
        const exit = yield* settle(ask(), "2 minutes")
        const times = (yield* attempts).map(({ time }) => time)
        return {
          tag: failureOf(exit)?._tag,
          attempts: times.length,
          delay: times.length > 1 ? times[1]! - times[0]! : 0
        }
      })

    it.scoped("decides by status and x-should-retry what is retried", () =>
      Effect.gen(function* () {
        for (const status of [408, 429, 500, 502, 503, 504, 529]) {
          assert.deepInclude(yield* outcome(errorResponse(status)), { tag: undefined, attempts: 2 }, `${status}`)
        }
        for (const status of [400, 401, 403, 404, 409, 410, 413, 422]) {
          assert.strictEqual((yield* outcome(errorResponse(status))).attempts, 1, `${status}`)
          assert.strictEqual((yield* outcome(errorResponse(status, { "x-should-retry": "false" }))).attempts, 1)
        }
        for (const status of [400, 401, 403, 404, 409, 422]) {
          assert.strictEqual(
            (yield* outcome(errorResponse(status, { "x-should-retry": "true" }))).attempts,
            2,
            `${status}`
          )
        }
        for (const status of [408, 429, 500]) {
          assert.strictEqual(
            (yield* outcome(errorResponse(status, { "x-should-retry": "false" }))).attempts,
            1,
            `${status}`
          )
        }
        assert.strictEqual((yield* outcome(ScriptedHttpClient.connectionLost)).attempts, 2)
        const hung = yield* outcome(ScriptedHttpClient.silence)
        assert.strictEqual(hung.attempts, 2)
        assert.isTrue(hung.delay >= 60_375 && hung.delay <= 60_500, `${hung.delay}`)
      })
    )

    it.scoped("waits for the delay of the server, if that is above 0 and at most a minute", () =>
      Effect.gen(function* () {
        const waits = (headers: Record<string, string>) =>
          Effect.map(outcome(errorResponse(503, headers)), ({ delay }) => delay)
        assert.closeTo(yield* waits({ "retry-after-ms": "1234" }), 1234, 0.01)
        assert.closeTo(yield* waits({ "retry-after-ms": "1234", "retry-after": "9" }), 1234, 0.01)
        assert.closeTo(yield* waits({ "retry-after": "2.5" }), 2500, 0.01)
        const own = (delay: number) => delay >= 375 && delay <= 500
        for (const value of ["0", "-3", "61", "soon", "", "Thu, 01 Jan 1970 00:00:00 GMT"]) {
          assert.isTrue(own(yield* waits({ "retry-after": value })), value)
        }
        assert.closeTo(yield* waits({ "retry-after-ms": "0.001" }), 10, 0.01, "no tight loop")
        const { ask, attempts } = yield* start({
          "/get_server_capabilities": [
            errorResponse(503, { "retry-after": "Thu, 01 Jan 1970 00:00:30 GMT" }),
            capabilities
          ]
        })
        yield* TestClock.setTime(10_000)
        yield* settle(ask(), "1 minute")
        assert.closeTo((yield* attempts)[1]!.time, 30_000, 0.01)
      })
    )

    it.scoped("retries 400s without a body, up to sixteen more than there are successful requests", () =>
      Effect.gen(function* () {
        const edge = ScriptedHttpClient.empty({ status: 400 })
        const { ask, attempts } = yield* start({
          "/get_server_capabilities": [edge, edge, capabilities, edge]
        })
        const policy = { ...RetryPolicy.standard, total: "1 hour" } as const
        assert.isTrue(Exit.isSuccess(yield* settle(ask({ policy }))))
        // two of sixteen retries were used, and the success gave one back
        const failed = failureOf(yield* settle(ask({ policy })))
        assert.strictEqual(failed?._tag, "BadRequest")
        assert.strictEqual((yield* attempts).length, 3 + 15 + 1)
      })
    )

    it.scoped("can be changed for an effect", () =>
      Effect.gen(function* () {
        const { ask, attempts } = yield* start({
          "/get_server_capabilities": [errorResponse(409), errorResponse(409), capabilities]
        })
        const exit = yield* settle(
          RetryPolicy.withRetryPolicy(ask(), { isRetryable: (error) => error._tag === "Conflict" })
        )
        assert.isTrue(Exit.isSuccess(exit))
        assert.strictEqual((yield* attempts).length, 3)
      })
    )

    it.scoped("calls onRetry before each further attempt", () =>
      Effect.gen(function* () {
        const { ask } = yield* start({
          "/get_server_capabilities": [
            errorResponse(500),
            ScriptedHttpClient.connectionLost,
            errorResponse(402),
            capabilities
          ]
        })
        const seen: Array<string> = []
        yield* settle(ask({ onRetry: (error) => void seen.push(error._tag) }))
        assert.deepStrictEqual(seen, ["ServerError", "TransportError", "PaymentRequired"])
      })
    )
  })

  describe("a billing pause", () => {
    it.scoped("retries every 5 s, logs once a minute, and does not count as retries", () =>
      Effect.gen(function* () {
        const paid = 600_000
        const { lines, value } = yield* logged(
          Effect.gen(function* () {
            const { ask, attempts } = yield* start({
              "/get_server_capabilities": ({ time }) =>
                time < paid ? errorResponse(402) : time < paid + 4000 ? errorResponse(503) : capabilities
            })
            const exit = yield* settle(ask())
            return { exit, times: (yield* attempts).map(({ time }) => time) }
          })
        )
        assert.isTrue(Exit.isSuccess(value.exit))
        assert.deepStrictEqual(value.times.slice(0, 4), [0, 5000, 10_000, 15_000])
        const paused = lines.filter((line) => line.includes("paused until the account has credit again"))
        assert.strictEqual(paused.length, 10, lines.join("\n"))
        assert.deepStrictEqual(
          lines.slice(10).map((line) => line.slice(0, 30)),
          ["WARN retrying after a failure:"]
        )
      })
    )

    it.scoped("lasts as long as the service's flags allow, also under a policy without retries", () =>
      Effect.gen(function* () {
        const { ask, attempts } = yield* start({
          "/client/config": json({ billing_exception_max_pause_duration_sec: 60 }),
          "/get_server_capabilities": errorResponse(402)
        })
        assert.strictEqual(failureOf(yield* settle(ask({ policy: RetryPolicy.never })))?._tag, "PaymentRequired")
        const times = (yield* attempts).map(({ time }) => time / 1000)
        assert.strictEqual(times.at(-1), 65)
        // after five minutes it is another incident
        yield* Effect.fork(ask({ policy: RetryPolicy.never }))
        yield* TestClock.adjust("30 seconds")
        assert.isAbove((yield* attempts).length, times.length + 4)
      })
    )

    it.scoped("is skipped if the policy excludes it", () =>
      Effect.gen(function* () {
        const { ask, attempts } = yield* start({ "/get_server_capabilities": errorResponse(402) })
        const exit = yield* settle(RetryPolicy.withRetryPolicy(ask(), { billingPause: false }))
        assert.strictEqual(failureOf(exit)?._tag, "PaymentRequired")
        assert.strictEqual((yield* attempts).length, 1)
      })
    )
  })
})
