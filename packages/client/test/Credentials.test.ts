import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Credentials from "@effect-tinker/client/Credentials"
import * as TinkerClient from "@effect-tinker/client/TinkerClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Encoding, Fiber, Layer, Logger, LogLevel, Redacted, TestClock } from "effect"
import { over, ways } from "./utils/services.ts"

const { json } = ScriptedHttpClient

const token = (claims: Record<string, unknown>) =>
  `eyJhbGciOiJub25lIn0.${Encoding.encodeBase64Url(JSON.stringify(claims))}.c2ln`

const fromEnvironment = (env: Record<string, string>, options: TinkerConfig.Options = {}) =>
  TinkerConfig.fromConfig(options).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))))

const plain = { commandFirst: false, fresh: false }
const asked = (config: TinkerConfig.Service, request: Credentials.Request = plain) =>
  Effect.map(config.credentials.get(request), Redacted.value)

describe("credentials", () => {
  it.scopedLive("come from the option, the environment, a command, or the stored default key, in this order", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const home = yield* fs.makeTempDirectoryScoped()
      yield* fs.makeDirectory(`${home}/.tinker`)
      yield* fs.writeFileString(
        `${home}/.tinker/credentials.json`,
        JSON.stringify({
          version: 1,
          default: "b",
          keys: {
            a: { type: "manual", key: "tml-other", name: "a" },
            b: { type: "manual", key: "tml-stored", name: "b", details: null }
          }
        })
      )
      const env = { HOME: home }
      const withCommand = { ...env, TINKER_CREDENTIAL_CMD: "echo noise >/dev/null; echo ' tml-command '" }
      assert.strictEqual(yield* asked(yield* fromEnvironment(env)), "tml-stored")
      assert.strictEqual(yield* asked(yield* fromEnvironment(withCommand)), "tml-command")
      const all = { ...withCommand, TINKER_API_KEY: "tml-environment" }
      assert.strictEqual(yield* asked(yield* fromEnvironment(all)), "tml-environment")
      assert.strictEqual(
        yield* asked(yield* fromEnvironment(all), { commandFirst: true, fresh: false }),
        "tml-command",
        "where the service wants the command's"
      )
      const given = yield* fromEnvironment(all, { apiKey: Redacted.make("tml-option") })
      assert.strictEqual(yield* asked(given), "tml-option")
      assert.notInclude(JSON.stringify(given) + String(given.credentials), "tml-option")
      yield* fs.writeFileString(
        `${home}/.tinker/credentials.json`,
        '{"keys": {"a": "tml-broken-secret"}, "default": 7}'
      )
      const broken = yield* Effect.flip(fromEnvironment(env))
      assert.include(broken.message, "credentials.json")
      assert.notInclude(broken.message, "secret")
      assert.strictEqual((yield* Effect.flip(fromEnvironment({ HOME: `${home}/none` }))).path, "apiKey")
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("of a command are cached for a while, and fetched again when they are rejected", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const count = `${yield* fs.makeTempDirectoryScoped()}/count`
      const command = `echo x >> ${count}; echo tml-$(wc -l < ${count} | tr -d ' ')`
      const config = yield* fromEnvironment({ TINKER_CREDENTIAL_CMD: command })
      const both = yield* Effect.all([asked(config), asked(config)], { concurrency: "unbounded" })
      assert.deepStrictEqual(both, ["tml-1", "tml-1"])
      const rejected = asked(config, { commandFirst: false, fresh: true })
      assert.deepStrictEqual(yield* Effect.all([rejected, rejected], { concurrency: "unbounded" }), ["tml-2", "tml-2"])
      const silent = yield* fromEnvironment({ TINKER_CREDENTIAL_CMD: "exit 3" })
      const failed = yield* Effect.flip(asked(silent))
      assert.strictEqual(failed.path, "TINKER_CREDENTIAL_CMD")
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("are rejected if they are invalid, and the error does not show them", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 hour")
      for (const key of ["sk-other-service", "", "tml-line\nbreak"]) {
        const refused = yield* Effect.flip(Credentials.make({ apiKey: Redacted.make(key) }))
        assert.strictEqual(refused.path, "apiKey")
        if (key !== "") assert.notInclude(refused.message + JSON.stringify(refused), key)
      }
      const expired = token({ exp: 3000 })
      const held = yield* Credentials.make({ apiKey: Redacted.make(expired) })
      const refused = yield* Effect.flip(held.get(plain))
      assert.include(refused.message, "expired")
      assert.notInclude(refused.message, expired)
      const noExecutor = yield* Credentials.make({ command: "echo tml-a" }).pipe(
        Effect.flatMap((credentials) => credentials.get(plain)),
        Effect.flip
      )
      assert.include(noExecutor.message, "CommandExecutor")
    })
  )
})

const keys = (http: ScriptedHttpClient.ScriptedHttpClient, path: string) =>
  Effect.map(http.requestsTo(path), (requests) => requests.map(({ headers }) => headers["x-api-key"]))

const exchanging = json({ pjwt_auth_enabled: true })
const unauthorized = json({ detail: "no" }, { status: 401 })
const invalidToken = json(
  { detail: "token was revoked" },
  { status: 401, headers: { "www-authenticate": 'Bearer error="invalid_token"' } }
)

describe.each(ways)("a client over %s", (way) => {
  const start = (
    script: Record<string, ScriptedHttpClient.Step | ReadonlyArray<ScriptedHttpClient.Step>>,
    options: TinkerConfig.Options = {}
  ) =>
    Effect.gen(function* () {
      const http = yield* ScriptedHttpClient.make({
        "/get_server_capabilities": json({ supported_models: [] }),
        ...script
      })
      const context = yield* Layer.build(
        TinkerClient.layer.pipe(
          Layer.provide(
            TinkerConfig.layer({
              apiKey: Redacted.make("tml-plain-key"),
              baseUrl: "http://any.test",
              telemetry: false,
              ...options
            })
          ),
          Layer.provide(over(way, http.layer))
        )
      )
      const client = yield* Effect.provide(TinkerClient.TinkerClient, context)
      return { http, client, ask: client.call(TinkerApi.getServerCapabilities, undefined as never) }
    })

  describe("access tokens", () => {
    const minutes = (from: number, to: number) => token({ iat: from * 60, exp: to * 60, sub: "user", n: to })
    const first = minutes(0, 60)
    const second = minutes(30, 90)

    it.scoped("are sent in place of the key where the service exchanges keys, and are fetched once at first use", () =>
      Effect.gen(function* () {
        const { ask, client, http } = yield* start({
          "/client/config": exchanging,
          "/auth/token": ScriptedHttpClient.after("1 second", json({ jwt: first })),
          "/auth/apikey/me": json({}, { status: 404 })
        })
        const both = yield* Effect.fork(Effect.all([ask, ask], { concurrency: "unbounded" }))
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(both)
        assert.deepStrictEqual(yield* keys(http, "/client/config"), ["tml-plain-key"])
        assert.deepStrictEqual(yield* keys(http, "/auth/token"), ["tml-plain-key"])
        assert.deepStrictEqual(yield* keys(http, "/get_server_capabilities"), [first, first])
        assert.strictEqual((yield* client.claims)?.sub, "user")
        yield* Effect.flip(client.call(TinkerApi.getApiKey, undefined as never))
        assert.deepStrictEqual(yield* keys(http, "/auth/apikey/me"), ["tml-plain-key"], "that is about the key itself")
      })
    )

    it.scoped("are refreshed at half their lifetime, and a minute after a failure", () =>
      Effect.gen(function* () {
        const { ask, http } = yield* start({
          "/client/config": exchanging,
          "/auth/token": [json({ jwt: first }), json({ detail: "busy" }, { status: 503 }), json({ jwt: second })]
        })
        yield* ask
        yield* TestClock.adjust("35 minutes")
        const times = (yield* http.requestsTo("/auth/token")).map(({ time }) => time / 60_000)
        assert.strictEqual(times.length, 3)
        assert.isTrue(times[1]! >= 27 && times[1]! <= 33, `${times[1]}`)
        assert.closeTo(times[2]! - times[1]!, 1, 0.01)
        yield* ask
        assert.deepStrictEqual(yield* keys(http, "/get_server_capabilities"), [first, second])
      })
    )

    it.scoped("are exchanged before use near their expiry; if that fails, one that is still valid is used", () =>
      Effect.gen(function* () {
        const { ask, http } = yield* start({
          "/client/config": exchanging,
          "/auth/token": [json({ jwt: token({ exp: 90 }) }), json({ detail: "busy" }, { status: 503 })]
        })
        yield* ask
        yield* TestClock.adjust("45 seconds")
        yield* ask
        const used = yield* keys(http, "/get_server_capabilities")
        assert.deepStrictEqual(used, [token({ exp: 90 }), token({ exp: 90 })])
        assert.strictEqual((yield* http.requestsTo("/auth/token")).length, 2)
      })
    )

    it.scoped(
      "are replaced once for all requests that were rejected with them, and each request is sent once more",
      () =>
        Effect.gen(function* () {
          const { ask, http } = yield* start({
            "/client/config": exchanging,
            "/auth/token": [json({ jwt: first }), ScriptedHttpClient.after("1 second", json({ jwt: second }))],
            "/get_server_capabilities": (request) =>
              request.headers["x-api-key"] === second ? json({ supported_models: [] }) : invalidToken
          })
          const both = yield* Effect.fork(Effect.all([ask, ask], { concurrency: "unbounded" }))
          yield* TestClock.adjust("2 seconds")
          yield* Fiber.join(both)
          assert.strictEqual((yield* http.requestsTo("/auth/token")).length, 2)
          assert.deepStrictEqual(yield* keys(http, "/get_server_capabilities"), [first, first, second, second])
          const revoked = yield* start({
            "/client/config": exchanging,
            "/auth/token": [json({ jwt: first }), json({ jwt: second }), json({ jwt: first })],
            "/get_server_capabilities": invalidToken
          })
          const failed = yield* Effect.flip(revoked.ask)
          assert.strictEqual(failed._tag, "Unauthorized")
          assert.deepStrictEqual(yield* keys(revoked.http, "/get_server_capabilities"), [first, second])
        })
    )

    it.scoped("cannot be fetched with an unknown key: every request fails with Unauthorized", () =>
      Effect.gen(function* () {
        const { ask, http } = yield* start({ "/client/config": exchanging, "/auth/token": unauthorized })
        assert.strictEqual((yield* Effect.flip(ask))._tag, "Unauthorized")
        assert.strictEqual((yield* http.requestsTo("/get_server_capabilities")).length, 0)
      })
    )

    it.scoped("and keys are in no log, error or span", () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.make((entry) => void lines.push(JSON.stringify([entry.message, entry.annotations])))
        yield* Effect.gen(function* () {
          const { ask } = yield* start({
            "/client/config": exchanging,
            "/auth/token": [json({ jwt: first }), json({ detail: "busy" }, { status: 503 })],
            "/get_server_capabilities": (request) =>
              json({ detail: `cannot take ${request.headers["x-api-key"]}` }, { status: 503 })
          })
          const fiber = yield* Effect.fork(Effect.flip(ask))
          yield* TestClock.adjust("40 minutes")
          const failed = yield* Fiber.join(fiber)
          lines.push(String(failed), JSON.stringify(failed), failed.message)
          assert.isTrue(TinkerError.isTinkerError(failed))
        }).pipe(
          Effect.scoped,
          Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
          Logger.withMinimumLogLevel(LogLevel.All)
        )
        const text = lines.join("\n")
        assert.isAbove(lines.length, 5)
        assert.include(text, "cannot take")
        assert.notInclude(text, first)
        assert.notInclude(text, "tml-plain-key")
      })
    )
  })
})
