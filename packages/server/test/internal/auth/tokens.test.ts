import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { makeKeySign } from "../../../src/internal/auth/signing.ts"
import * as tokens from "../../../src/internal/auth/tokens.ts"
import * as client from "../../utils/client.ts"
import * as users from "../../utils/users.ts"

describe("a token", () => {
  it.effect("says who issued it, for whom, and until when", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("10 seconds")
      const sign = yield* makeKeySign([Redacted.make("k")], "tokens")
      const token = yield* tokens.issue(sign, "user-a", "1500 millis")
      assert.isTrue(tokens.isToken(token))
      const [head, claims] = token.split(".").map((part) => Buffer.from(part, "base64url").toString())
      assert.deepStrictEqual(JSON.parse(head!), { alg: "HS256", typ: "JWT" })
      assert.deepStrictEqual(JSON.parse(claims!), { iss: "effect-tinker", sub: "user-a", iat: 10, exp: 12 })
      assert.strictEqual(yield* tokens.verify(sign, token), "user-a")
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(yield* tokens.verify(sign, token), "user-a")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* tokens.verify(sign, token), undefined)
      // a key is none
      for (const key of ["tml-a", "xeyJ", "", undefined]) assert.isFalse(tokens.isToken(key), key)
    })
  )

  it.effect("is valid only as it was signed, whatever was signed", () =>
    Effect.gen(function* () {
      const sign = yield* makeKeySign([Redacted.make("k")], "tokens")
      const [head, claims] = (yield* tokens.issue(sign, "user-a", "1 hour")).split(".") as [string, string]
      const other = Encoding.encodeBase64Url(JSON.stringify({ alg: "none", typ: "JWT" }))
      const text = Encoding.encodeBase64Url("no claims")
      for (const signed of [`${other}.${claims}`, `${head}.${text}`, `${head}.`, `${head}.!`]) {
        assert.strictEqual(yield* tokens.verify(sign, `${signed}.${yield* sign(signed)}`), undefined, signed)
      }
      assert.strictEqual(yield* tokens.verify(sign, `${head}.${claims}.${yield* sign(`${head}.${claims}`)}`), "user-a")
      assert.strictEqual(yield* tokens.verify(sign, head), undefined)
    })
  )
})

describe("tokens", () => {
  it.scoped("are issued for an API key, expire, and cannot be forged", () =>
    Effect.gen(function* () {
      const as = yield* users.start({ tokenLifetime: "1 hour" })
      const config = yield* as("tml-ada")(client.ok(client.post("/client/config", { sdk_version: "t" })))
      assert.isTrue(config.pjwt_auth_enabled)
      const { jwt } = yield* as("tml-ada")(client.ok(client.post("/auth/token", {})))
      const [head, payload, signature] = (jwt as string).split(".") as [string, string, string]
      const her = yield* as(jwt)(users.createAll)
      assert.strictEqual((yield* as("tml-ada")(client.get(`/training_runs/${her.model_id}`))).status, 200)
      assert.strictEqual((yield* as("tml-bob")(client.get(`/training_runs/${her.model_id}`))).status, 404)
      const text = (part: object) => Encoding.encodeBase64Url(JSON.stringify(part))
      const forged = [
        `${head}.${payload}.${signature.replace(/^./, (digit) => (digit === "0" ? "1" : "0"))}`,
        `${head}.${text({ sub: "user-x", exp: 9e9 })}.${signature}`,
        `${text({ alg: "none" })}.${payload}.`,
        `${head}.${payload}`,
        `${jwt}.x`,
        "eyJ"
      ]
      for (const token of forged) {
        const response = yield* as(token)(client.get("/healthz"))
        assert.strictEqual(response.status, 401, token)
        assert.include(response.headers["www-authenticate"], 'error="invalid_token"')
      }
      yield* TestClock.adjust("59 minutes")
      assert.strictEqual((yield* as(jwt)(client.get("/healthz"))).status, 200)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* as(jwt)(client.get("/healthz"))).status, 401)
      const without = yield* users.start()
      assert.strictEqual((yield* without("tml-ada")(client.post("/auth/token", {}))).status, 400)
      assert.strictEqual((yield* without(jwt)(client.get("/healthz"))).status, 401)
    })
  )
})
