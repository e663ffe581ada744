/** What requests send as their key, with a service that exchanges credentials as the test says. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ClientFlags from "@effect-tinker/client/ClientFlags"
import type * as Credentials from "@effect-tinker/client/Credentials"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as accessTokens from "../../../src/internal/auth/accessTokens.ts"
import { token } from "../../utils/commands.ts"

const busy = new TinkerError.ServerError({ method: "authToken", status: 503, detail: "busy" })
const unauthorized = new TinkerError.Unauthorized({ method: "authToken", status: 401, detail: "no" })

/** A token that lives 1000 seconds from now. */
const issued = Effect.map(Clock.currentTimeMillis, (now) => token({ iat: now / 1000, exp: now / 1000 + 1000, now }))

interface Started {
  /** the n-th exchange, from 1 */
  readonly exchange?: (count: number) => Effect.Effect<string, TinkerError.TinkerError>
  readonly flags?: Partial<ClientFlags.ClientConfig>
  readonly credential?: (request: Credentials.Request) => string
}

const start = ({ credential = () => "tml-key", exchange = () => issued, flags }: Started) =>
  Effect.gen(function* () {
    const config = { ...ClientFlags.clientDefaults, pjwt_auth_enabled: true, ...flags }
    const requests: Array<Credentials.Request> = []
    const exchanged: Array<readonly [string, RetryPolicy.RetryPolicy]> = []
    const get = (request: Credentials.Request) =>
      Effect.sync(() => {
        requests.push(request)
        return Redacted.make(credential(request))
      })
    const tokens = yield* accessTokens.make({
      credentials: { get },
      flags: Effect.succeed(config),
      knownFlags: () => config,
      exchange: (value, policy) => Effect.suspend(() => exchange(exchanged.push([Redacted.value(value), policy]))),
      scope: yield* Effect.scope
    })
    const current = Effect.suspend(() => Effect.map(tokens.current(), Redacted.value))
    return { tokens, requests, exchanged, count: () => exchanged.length, current }
  })

describe("the key of a request", () => {
  it.scoped.each([
    ["credential_cmd", true],
    ["another", false],
    [undefined, false]
  ] as const)("is the credential of the source that the service prefers: %s", ([source, commandFirst]) =>
    Effect.gen(function* () {
      const flags = { pjwt_auth_enabled: false, credential_default_source: source as string }
      const { current, requests, tokens } = yield* start({ flags })
      assert.strictEqual(yield* current, "tml-key")
      const rejected = Redacted.make("tml-key")
      yield* tokens.replace(rejected)
      yield* tokens.plain
      assert.deepStrictEqual(requests, [
        { commandFirst, fresh: false },
        { commandFirst, fresh: true, rejected },
        { commandFirst: false, fresh: false }
      ])
    })
  )

  it.scoped("is exchanged under the standard policy while there is none, and once where there is one", () =>
    Effect.gen(function* () {
      const { current, exchanged, requests } = yield* start({})
      yield* current
      yield* TestClock.adjust("600 seconds")
      assert.deepStrictEqual(exchanged, [
        ["tml-key", RetryPolicy.standard],
        ["tml-key", RetryPolicy.never]
      ])
      assert.deepStrictEqual(requests, [
        { commandFirst: false, fresh: false },
        { commandFirst: false, fresh: false }
      ])
    })
  )

  it.scoped("is exchanged again where there is another credential by now, and else is the rejection", () =>
    Effect.gen(function* () {
      const changed = yield* start({
        credential: ({ fresh }) => (fresh ? "tml-new" : "tml-old"),
        exchange: (count) => (count === 1 ? Effect.fail(unauthorized) : issued)
      })
      yield* changed.current
      assert.deepStrictEqual(
        changed.exchanged.map(([value]) => value),
        ["tml-old", "tml-new"]
      )
      const same = yield* start({ exchange: () => Effect.fail(unauthorized) })
      assert.strictEqual(yield* Effect.flip(same.current), unauthorized)
      assert.strictEqual(same.count(), 1)
    })
  )

  it.scoped("is refused with its path where a header cannot hold it, and a token with its field", () =>
    Effect.gen(function* () {
      const { current } = yield* start({ flags: { pjwt_auth_enabled: false }, credential: () => "tml-a\ntml-b" })
      const refused = yield* Effect.flip(current)
      assert(refused._tag === "InvalidInput")
      assert.deepStrictEqual([refused.path, refused.reason], ["credentials", "has two lines"])
      const exchanging = yield* start({ exchange: () => Effect.succeed("eyJ a") })
      const error = yield* Effect.flip(exchanging.current)
      assert(error._tag === "DecodeError")
      assert.deepStrictEqual(
        [error.method, error.reason],
        ["authToken", "jwt: has a character that a header cannot hold"]
      )
    })
  )
})

describe("access tokens", () => {
  it.scoped("are refreshed once at each half of their lifetime, also where nobody asks", () =>
    Effect.gen(function* () {
      const { count, current } = yield* start({})
      yield* current
      yield* TestClock.adjust("449 seconds")
      assert.strictEqual(count(), 1)
      yield* TestClock.adjust("102 seconds")
      assert.strictEqual(count(), 2)
      yield* TestClock.adjust("9450 seconds")
      assert.isAtLeast(count(), 19)
      assert.isAtMost(count(), 23)
    })
  )

  it.scoped(
    "are refreshed each minute after a failure until they have expired, and again from the next request on",
    () =>
      Effect.gen(function* () {
        let fails = false
        const { count, current } = yield* start({ exchange: () => (fails ? Effect.fail(busy) : issued) })
        const first = yield* current
        fails = true
        yield* TestClock.adjust("999 seconds")
        assert.strictEqual(yield* current, first)
        // a call within the last minute tries too
        assert.isAtLeast(count(), 8)
        assert.isAtMost(count(), 12)
        yield* TestClock.adjust("61 seconds")
        const ended = count()
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(count(), ended)
        fails = false
        assert.notStrictEqual(yield* current, first)
        yield* TestClock.adjust("551 seconds")
        assert.strictEqual(count(), ended + 2)
      })
  )

  it.scoped("are not refreshed early where one was replaced meanwhile", () =>
    Effect.gen(function* () {
      const { count, current, tokens } = yield* start({})
      const first = yield* current
      yield* TestClock.adjust("100 seconds")
      const second = Redacted.value(yield* tokens.replace(Redacted.make(first)))
      assert.notStrictEqual(second, first)
      yield* TestClock.adjust("780 seconds")
      assert.deepStrictEqual([count(), yield* current], [2, second])
      yield* TestClock.adjust("230 seconds")
      assert.strictEqual(count(), 3)
    })
  )

  it.scoped("are refreshed again after one was rejected and could not be replaced", () =>
    Effect.gen(function* () {
      const { count, current, tokens } = yield* start({
        exchange: (count) => (count === 2 || count === 3 ? Effect.fail(busy) : issued)
      })
      const first = yield* current
      yield* TestClock.adjust("100 seconds")
      assert.strictEqual(yield* Effect.flip(tokens.replace(Redacted.make(first))), busy)
      yield* TestClock.adjust("460 seconds")
      assert.strictEqual(count(), 3)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(count(), 3)
      yield* current
      yield* TestClock.adjust("551 seconds")
      assert.strictEqual(count(), 5)
    })
  )
})
