import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Credentials from "@effect-tinker/client/Credentials"
import * as TinkerClient from "@effect-tinker/client/TinkerClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import {
  ConfigProvider,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  LogLevel,
  Redacted,
  Schedule,
  TestClock
} from "effect"
import * as commands from "./utils/commands.ts"
import { withWarnings } from "@effect-tinker/testing/Logs"
import { over, ways } from "./utils/services.ts"

const { json } = ScriptedHttpClient
const { token } = commands

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

  it.scopedLive("are cached if a command printed them, and fetched again when they are rejected", () =>
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
      assert.strictEqual(failed._tag, "CredentialCommandFailed")
      assert.include(failed.message, "TINKER_CREDENTIAL_CMD")
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

/** Credentials of a command; `step` gets the number of its run, from 0. */
const ofCommand = (step: (run: number) => commands.Run | Effect.Effect<commands.Run>) =>
  Effect.gen(function* () {
    const command = yield* commands.make((run) => {
      const done = step(run)
      return Effect.isEffect(done) ? done : Effect.succeed(done)
    })
    const credentials = yield* Effect.provide(Credentials.make({ command: "any" }), command.layer)
    const get = Effect.map(credentials.get(plain), Redacted.value)
    return { get, credentials, count: Effect.map(command.runs, (runs) => runs.length), runs: command.runs }
  })

const seconds = (from: number, to: number, n = 0) => token({ iat: from, exp: to, n })
const failing: commands.Run = { output: "tml-not-this", exitCode: 1 }

/** Gets the credential again and again, so many times in as much time. */
const many = <A, E>(get: Effect.Effect<A, E>, times: number, pause: `${number} seconds`) =>
  Effect.forEach(Array.from({ length: times }), () => Effect.tap(get, () => TestClock.adjust(pause)))

describe("the credential of a command", () => {
  it.effect("is kept until it expires when the command fails, which is logged and retried with growing delays", () =>
    Effect.gen(function* () {
      const first = seconds(0, 600)
      const second = seconds(570, 1200)
      const { count, get } = yield* ofCommand((run) =>
        run === 0 ? { output: first } : run < 5 ? failing : { output: second }
      )
      assert.strictEqual(yield* get, first)
      yield* TestClock.adjust("545 seconds")
      const { lines, value } = yield* withWarnings(many(get, 20, "1 seconds"))
      assert.include(value, first)
      assert.strictEqual(value.at(-1), second, "before the first has expired")
      assert.strictEqual(yield* count, 6, "and not once a call")
      assert.strictEqual(lines.length, 4)
      assert.match(lines[0]!, /TINKER_CREDENTIAL_CMD.*exit 1.*as long as it is valid/)
      assert.notInclude(lines.join(), "tml-not-this")
    })
  )

  it.effect("is kept without end if it is a plain key, and replaced once the command prints another", () =>
    Effect.gen(function* () {
      const { count, get } = yield* ofCommand((run) =>
        run === 0 ? { output: "tml-1" } : run < 4 ? failing : { output: "tml-2" }
      )
      assert.strictEqual(yield* get, "tml-1")
      yield* TestClock.adjust("4 minutes")
      yield* get
      assert.strictEqual(yield* count, 1)
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(new Set(yield* many(get, 5, "0 seconds")), new Set(["tml-1"]))
      assert.strictEqual(yield* count, 2)
      yield* many(get, 3, "3600 seconds")
      assert.strictEqual(yield* get, "tml-2")
      assert.strictEqual(yield* count, 5)
    })
  )

  it.effect("that has expired is not used: the failure of the command is a retryable error", () =>
    Effect.gen(function* () {
      const { get } = yield* ofCommand((run) =>
        run === 0 ? { output: seconds(0, 600) } : run === 1 ? failing : { output: seconds(600, 1200) }
      )
      yield* get
      yield* TestClock.adjust("601 seconds")
      const { lines, value: error } = yield* withWarnings(Effect.flip(get))
      assert.strictEqual(error._tag, "CredentialCommandFailed")
      assert.isTrue(error.isRetryable)
      assert.deepStrictEqual(lines, [
        "TINKER_CREDENTIAL_CMD failed with exit 1. There is no valid credential; requests try again."
      ])
      assert.strictEqual(yield* get, seconds(600, 1200), "a call that tries again gets it")
    })
  )

  it.effect("with a lifetime below a minute is not fetched for every call", () =>
    Effect.gen(function* () {
      const { count, get } = yield* ofCommand(() =>
        Effect.map(
          Effect.clockWith((clock) => clock.currentTimeMillis),
          (now) => ({
            output: seconds(Math.floor(now / 1000), Math.floor(now / 1000) + 30)
          })
        )
      )
      yield* many(get, 14, "1 seconds")
      assert.strictEqual(yield* count, 1)
      yield* many(get, 60, "1 seconds")
      assert.isAtMost(yield* count, 6)
    })
  )

  it.effect.each([
    ["an hour ahead", 3600],
    ["almost an hour ahead", 3595],
    ["an hour behind", -3600]
  ] as const)("is fetched once for many calls when the clock is %s", ([, ahead]) =>
    Effect.gen(function* () {
      yield* TestClock.adjust("2 hours")
      const { count, get } = yield* ofCommand(() =>
        Effect.map(
          Effect.clockWith((clock) => clock.currentTimeMillis),
          (now) => ({
            output: seconds(now / 1000 - ahead, now / 1000 - ahead + 3600)
          })
        )
      )
      yield* withWarnings(many(get, 20, "0 seconds"))
      assert.strictEqual(yield* count, 1)
      yield* withWarnings(many(get, 20, "1 seconds"))
      assert.isAtMost(yield* count, 3)
    })
  )

  it.effect("that is expired is an error, unless the clock may be wrong: then the service decides, once", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("30 days")
      const now = 30 * 86_400
      for (const claims of [{ exp: now - 60 }, { iat: now - 90_000, exp: now - 86_401 }]) {
        const { get } = yield* ofCommand(() => ({ output: token(claims) }))
        assert.include((yield* Effect.flip(get)).message, "printed an expired token")
      }
      const expired = seconds(now - 3660, now - 60)
      const { credentials, get } = yield* ofCommand(() => ({ output: expired }))
      const { lines, value } = yield* withWarnings(get)
      assert.strictEqual(value, expired)
      assert.match(lines.join(), /expired by this machine's clock/)
      const rejected = credentials.get({ commandFirst: false, fresh: true, rejected: Redacted.make(expired) })
      assert.include((yield* Effect.flip(rejected)).message, "an expired token again")
      const stale = yield* ofCommand((run) => ({ output: run === 0 ? seconds(now, now + 120) : expired }))
      yield* stale.get
      yield* TestClock.adjust("90 seconds")
      assert.strictEqual(yield* stale.get, seconds(now, now + 120), "the clock is right if the current one is valid")
    })
  )

  it.effect("is fetched once for all calls, and an interrupted call leaves it to the others", () =>
    Effect.gen(function* () {
      const open = yield* Deferred.make<void>()
      const { count, get } = yield* ofCommand(() => Effect.as(Deferred.await(open), { output: "tml-1" }))
      const first = yield* Effect.fork(get)
      yield* TestClock.adjust("1 second")
      const others = yield* Effect.fork(Effect.all([get, get, get], { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(first)
      yield* Deferred.succeed(open, undefined)
      assert.deepStrictEqual(yield* Fiber.join(others), ["tml-1", "tml-1", "tml-1"])
      assert.strictEqual(yield* count, 1)
    })
  )

  it.effect(
    "that is still valid is used after five seconds when the command hangs, and the command ends after a minute",
    () =>
      Effect.gen(function* () {
        const { count, get } = yield* ofCommand((run) =>
          run === 0 ? { output: "tml-1" } : run === 1 ? Effect.never : { output: "tml-2" }
        )
        yield* get
        yield* TestClock.adjust("6 minutes")
        const waiting = yield* Effect.fork(get)
        yield* TestClock.adjust("4 seconds")
        assert.isNull(yield* Fiber.poll(waiting).pipe(Effect.map((exit) => (exit._tag === "None" ? null : exit))))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(waiting), "tml-1")
        assert.strictEqual(yield* get, "tml-1", "the next one does not wait at all")
        const { lines } = yield* withWarnings(TestClock.adjust("55 seconds"))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* get, "tml-2")
        assert.strictEqual(yield* count, 3)
        assert.isAtMost(lines.length, 1)
      })
  )

  it.effect("is fetched at a bounded rate when the command fails and many calls retry independently", () =>
    Effect.gen(function* () {
      const { count, get } = yield* ofCommand((run) => (run < 12 ? failing : { output: "tml-late" }))
      const call = (i: number) => Effect.retry(get, Schedule.spaced(100 + i))
      const { value } = yield* withWarnings(
        Effect.gen(function* () {
          const calls = yield* Effect.fork(
            Effect.all(
              Array.from({ length: 50 }, (_, i) => call(i)),
              { concurrency: 50 }
            )
          )
          yield* TestClock.adjust("15 seconds")
          assert.isAtMost(yield* count, 12)
          yield* TestClock.adjust("15 seconds")
          return yield* Fiber.join(calls)
        })
      )
      assert.deepStrictEqual(new Set(value), new Set(["tml-late"]))
    })
  )

  it.effect("is no longer waited for when the layer of the configuration is released: the command ends", () =>
    Effect.gen(function* () {
      let isEnded = false
      const command = yield* commands.make(() =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => (isEnded = true)))
      )
      const waiting = yield* Effect.gen(function* () {
        const context = yield* Layer.build(TinkerConfig.layerConfig().pipe(Layer.provide(command.layer)))
        const { credentials } = yield* Effect.provide(TinkerConfig.TinkerConfig, context)
        const waiting = yield* Effect.forkDaemon(credentials.get(plain))
        yield* TestClock.adjust("1 second")
        assert.isFalse(isEnded)
        return waiting
      }).pipe(
        Effect.scoped,
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["TINKER_CREDENTIAL_CMD", "any"]])))
      )
      assert.isTrue(isEnded)
      assert.strictEqual((yield* Effect.flip(Fiber.join(waiting)))._tag, "ClientClosed")
    })
  )

  it.effect("is replaced once for requests that were rejected with the same one, also one after another", () =>
    Effect.gen(function* () {
      const { count, credentials, get } = yield* ofCommand((run) => ({ output: `tml-${run}` }))
      const old = yield* get
      const replaced = credentials.get({ commandFirst: false, fresh: true, rejected: Redacted.make(old) })
      const values = yield* many(Effect.map(replaced, Redacted.value), 5, "1 seconds")
      assert.deepStrictEqual(new Set(values), new Set(["tml-1"]))
      assert.strictEqual(yield* count, 2)
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

    it.scoped.each([
      ["an hour ahead", 3600],
      ["an hour behind", -3600]
    ] as const)("are exchanged once for many calls when the clock is %s", ([, ahead]) =>
      Effect.gen(function* () {
        yield* TestClock.adjust("2 hours")
        const now = 7200 - ahead
        const { ask, http } = yield* start({
          "/client/config": exchanging,
          "/auth/token": json({ jwt: token({ iat: now, exp: now + 3600 }) })
        })
        yield* many(ask, 20, "1 seconds")
        assert.strictEqual((yield* http.requestsTo("/auth/token")).length, 1)
      })
    )

    it.scoped("with a lifetime below a minute are not exchanged for every call", () =>
      Effect.gen(function* () {
        const { ask, http } = yield* start({
          "/client/config": exchanging,
          "/auth/token": ({ time }) => json({ jwt: token({ iat: time / 1000, exp: time / 1000 + 50 }) })
        })
        yield* many(ask, 20, "1 seconds")
        assert.strictEqual((yield* http.requestsTo("/auth/token")).length, 1)
        yield* many(ask, 60, "1 seconds")
        assert.isAtMost((yield* http.requestsTo("/auth/token")).length, 5)
      })
    )

    it.scoped(
      "are used until they expire when exchanges fail, which are not repeated for every call; then calls fail",
      () =>
        Effect.gen(function* () {
          const { ask, http } = yield* start({
            "/client/config": exchanging,
            "/auth/token": [json({ jwt: token({ iat: 0, exp: 100 }) }), unauthorized]
          })
          yield* ask
          yield* TestClock.adjust("70 seconds")
          const before = (yield* http.requestsTo("/auth/token")).length
          yield* many(ask, 29, "1 seconds")
          assert.isAtMost((yield* http.requestsTo("/auth/token")).length - before, 6)
          yield* TestClock.adjust("2 seconds")
          assert.strictEqual((yield* Effect.flip(ask))._tag, "Unauthorized")
        })
    )

    it.scoped("are exchanged once for all calls, and an interrupted call leaves the exchange to the others", () =>
      Effect.gen(function* () {
        const { ask, http } = yield* start({
          "/client/config": exchanging,
          "/auth/token": ScriptedHttpClient.after("10 seconds", json({ jwt: first }))
        })
        const interrupted = yield* Effect.fork(ask)
        yield* TestClock.adjust("1 second")
        const other = yield* Effect.fork(ask)
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(interrupted)
        yield* TestClock.adjust("10 seconds")
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(other)))
        assert.strictEqual((yield* http.requestsTo("/auth/token")).length, 1)
      })
    )

    it.scoped("are exchanged for the command's next credential if the service rejects the current one", () =>
      Effect.gen(function* () {
        const { credentials } = yield* ofCommand((run) => ({ output: `tml-${run}` }))
        const { ask, http } = yield* start(
          {
            "/client/config": exchanging,
            "/auth/token": ({ headers }) => (headers["x-api-key"] === "tml-1" ? json({ jwt: first }) : unauthorized)
          },
          { credentials }
        )
        yield* ask
        assert.deepStrictEqual(yield* keys(http, "/auth/token"), ["tml-0", "tml-1"])
        assert.deepStrictEqual(yield* keys(http, "/get_server_capabilities"), [first])
      })
    )

    it.scoped("that a header cannot hold are rejected and not shown, as are a program's credentials", () =>
      Effect.gen(function* () {
        const own = (text: string) => ({ credentials: { get: () => Effect.succeed(Redacted.make(text)) } })
        for (const text of ["", "tml-secret\nx: y", "tml-s\u00e9cret-secret"]) {
          const { ask, http } = yield* start({ "/client/config": json({}) }, own(text))
          const error = yield* Effect.flip(ask)
          assert.strictEqual(error._tag, "InvalidInput")
          assert.notInclude(error.message + JSON.stringify(error), "secret")
          assert.deepStrictEqual(yield* http.requests, [])
        }
        const { ask } = yield* start({
          "/client/config": exchanging,
          "/auth/token": json({ jwt: "eyJ-secret\r\nx: y" })
        })
        const error = yield* Effect.flip(ask)
        assert.strictEqual(error._tag, "DecodeError")
        assert.notInclude(error.message + JSON.stringify(error), "secret")
      })
    )

    it.scoped("cannot be fetched with an unknown key: every request fails with Unauthorized", () =>
      Effect.gen(function* () {
        const { ask, http } = yield* start({ "/client/config": exchanging, "/auth/token": unauthorized })
        assert.strictEqual((yield* Effect.flip(ask))._tag, "Unauthorized")
        assert.strictEqual((yield* http.requestsTo("/get_server_capabilities")).length, 0)
      })
    )

    it.scoped("never appear in a log, an error or a span; neither do keys", () =>
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
