/** How long a credential is used, and what it must look like. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as credential from "../../../src/internal/auth/credential.ts"
import * as jwt from "../../../src/internal/auth/jwt.ts"
import * as lease from "../../../src/internal/auth/lease.ts"
import { token } from "../../utils/commands.ts"

const now = 1_000_000_000
const second = now / 1000

/** Seconds from now until a credential is renewed and expires. */
const times = ({ expiresAt, renewAt }: lease.Lease) => [(renewAt - now) / 1000, (expiresAt - now) / 1000]

describe("the lifetime of a token", () => {
  it("is the time from its issue to its expiry, where it has both in this order", () => {
    assert.strictEqual(lease.lifetimeOf(token({ iat: 100, exp: 160 })), 60_000)
    const without = [{ exp: 160 }, { iat: 100 }, { iat: 160, exp: 160 }, { iat: 161, exp: 160 }, {}]
    for (const claims of without) assert.isUndefined(lease.lifetimeOf(token(claims)))
    assert.isUndefined(lease.lifetimeOf("tml-key"))
  })
})

describe("the lease of a credential", () => {
  const of = (text: string) => times(lease.ofCredential(Redacted.make(text), now))
  const issued = (from: number, to: number) => of(token({ iat: second + from, exp: second + to }))

  it("has no end for a key, which is renewed after five minutes", () => {
    assert.deepStrictEqual(of("tml-key"), [300, Number.POSITIVE_INFINITY])
  })

  it("ends by the clock, and is renewed a minute before, or at half of what is left", () => {
    assert.deepStrictEqual(of(token({ exp: second + 600 })), [540, 600])
    assert.deepStrictEqual(of(token({ exp: second + 80 })), [40, 80])
    assert.deepStrictEqual(issued(-600, 600), [540, 600])
    assert.deepStrictEqual(issued(0, 600), [540, 600])
  })

  it("is not renewed within five seconds, also where the token has expired", () => {
    assert.deepStrictEqual(of(token({ exp: second - 60 })), [5, -60])
    assert.deepStrictEqual(of(token({ exp: second + 6 })), [5, 6])
  })

  it("is the whole lifetime where the clock contradicts the claims", () => {
    assert.deepStrictEqual(issued(-700, -100), [540, 600])
    assert.deepStrictEqual(issued(-600, 0), [540, 600])
    assert.deepStrictEqual(issued(1, 601), [540, 600])
  })

  it("is half a minute at least where the token lives as long", () => {
    assert.deepStrictEqual(issued(-599, 1), [15, 30])
    assert.deepStrictEqual(issued(-9, 1), [5, 10])
    assert.deepStrictEqual(issued(-540, 60), [30, 60])
  })
})

describe("the lease of a token that was just issued", () => {
  const of = (text: string, held?: lease.Lease) => times(lease.ofIssuedToken(Redacted.make(text), now, held))
  const an_hour = token({ iat: 0, exp: 3600 })

  it("is its whole lifetime, whatever the clock says", () => {
    assert.deepStrictEqual(of(an_hour), [3540, 3600])
  })

  it("is by the clock without the time of issue, and five minutes where that is over", () => {
    assert.deepStrictEqual(of(token({ exp: second + 100 })), [50, 100])
    assert.deepStrictEqual(of(token({ exp: second })), [240, 300])
    assert.deepStrictEqual(of(token({ exp: second - 100 })), [240, 300])
  })

  it("has no end without an expiry", () => {
    assert.deepStrictEqual(of("any"), [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])
    const { value } = lease.ofIssuedToken(Redacted.make("any"), now, undefined)
    assert.strictEqual(Redacted.value(value), "any")
  })

  it("keeps its expiry when the same token is issued again", () => {
    const held = (text: string, seconds: number): lease.Lease => ({
      value: Redacted.make(text),
      renewAt: now,
      expiresAt: now + seconds * 1000
    })
    assert.deepStrictEqual(of(an_hour, held(an_hour, 200)), [140, 200])
    assert.deepStrictEqual(of(an_hour, held("another", 200)), [3540, 3600])
    assert.deepStrictEqual(of(an_hour, held(an_hour, 9000)), [3540, 3600])
    assert.deepStrictEqual(of(an_hour, held(an_hour, 3)), [15, 30])
  })
})

describe("the claims of a token", () => {
  it("are read with and without padding, and only from a token", () => {
    const claims = { exp: 5, iat: 1, sub: "alice" }
    const payload = Buffer.from(JSON.stringify(claims)).toString("base64url")
    assert.strictEqual(payload.length % 4, 2)
    assert.deepInclude(jwt.claims(`eyJ.${payload}.s`), claims)
    assert.deepInclude(jwt.claims(`eyJ.${payload}==.s`), claims)
    for (const text of [`tml-.${payload}.s`, "eyJ", "eyJ..", "eyJ.=a=.s"]) assert.isUndefined(jwt.claims(text))
    assert.strictEqual(jwt.expiresAt(`eyJ.${payload}.s`), 5000)
    assert.strictEqual(jwt.expiresAt("tml-key"), Number.POSITIVE_INFINITY)
  })
})

describe("a credential", () => {
  const reasonOf = (text: string) =>
    Effect.map(Effect.flip(credential.check("apiKey", Redacted.make(text))), (error) => {
      assert.deepStrictEqual([error.method, error.path], ["Credentials", "apiKey"])
      return error.reason
    })

  it.effect("is trimmed, and is a key or a token", () =>
    Effect.gen(function* () {
      const trimmed = yield* credential.check("apiKey", Redacted.make(" tml-key\r\n"))
      assert.strictEqual(Redacted.value(trimmed), "tml-key")
      assert.strictEqual(yield* reasonOf("  "), "is empty: set TINKER_API_KEY to one key")
      assert.strictEqual(yield* reasonOf("tml-a\ntml-b"), "has two lines: set TINKER_API_KEY to one key")
      assert.strictEqual(yield* reasonOf("tml-a\ntml-b\r\rtml-c"), "has 4 lines: set TINKER_API_KEY to one key")
      const odd = "has a character that a header cannot hold: set TINKER_API_KEY to one key"
      assert.strictEqual(yield* reasonOf("tml-a b"), odd)
      assert.strictEqual(
        yield* reasonOf("sk-other"),
        'is not a key of this service: keys start with "tml-", tokens with "eyJ"'
      )
    })
  )

  it.effect("is used until it expires", () =>
    Effect.gen(function* () {
      const check = (text: string) => Effect.either(credential.unexpired("apiKey", Redacted.make(text)))
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual((yield* check(token({ exp: 60 })))._tag, "Right")
      yield* TestClock.adjust("1 millis")
      const expired = yield* check(token({ exp: 60 }))
      assert(expired._tag === "Left")
      assert.include(expired.left.reason, "is an expired token by this machine's clock")
      assert.strictEqual((yield* check("tml-key"))._tag, "Right")
    })
  )
})
