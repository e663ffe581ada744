import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as signing from "../../../src/internal/auth/signing.ts"
import * as signedUrls from "../../../src/internal/transfers/signedUrls.ts"

const requestOf = (url: string, host?: string) =>
  ({ url, headers: host === undefined ? {} : { host } }) as unknown as HttpServerRequest.HttpServerRequest

const sign = signing.makeKeySign([Redacted.make("k")], "downloads")

const rejection = (file: string, query: URLSearchParams) =>
  Effect.flatMap(sign, (sign) => Effect.flip(signedUrls.verify(sign, file, query)))

describe("a signed URL", () => {
  it.effect("is of the origin of the request that it was created for", () =>
    Effect.gen(function* () {
      const create = (request: HttpServerRequest.HttpServerRequest) =>
        Effect.flatMap(sign, (sign) => signedUrls.create(sign, request, "/prefix", "a/b", 5))
      assert.match(yield* create(requestOf("/x?y", "h:1")), /^http:\/\/h:1\/prefix\/a\/b\?expires=5&signature=\w{64}$/)
      // without a host it is relative
      assert.match(yield* create(requestOf("/x", "not a host")), /^\/prefix\/a\/b\?expires=5&signature=\w{64}$/)
    })
  )

  it.effect("is valid for its file and its time, and a query without a signature for none", () =>
    Effect.gen(function* () {
      const signature = yield* Effect.flatMap(sign, (sign) => sign("5/a"))
      const valid = new URLSearchParams({ expires: "5", signature })
      yield* Effect.flatMap(sign, (sign) => signedUrls.verify(sign, "a", valid))
      for (const [file, query] of [
        ["b", valid],
        ["a", new URLSearchParams({ expires: "6", signature })],
        ["a", new URLSearchParams({ signature })],
        ["a", new URLSearchParams({ expires: "5", signature: `${signature}0` })],
        ["a", new URLSearchParams({ expires: "5" })],
        ["a", new URLSearchParams()]
      ] as const) {
        const { _tag, detail } = yield* rejection(file, query)
        assert.strictEqual(_tag, "ForbiddenResponse")
        assert.strictEqual(detail, "the signature of this URL is missing or wrong")
      }
      // one that was signed without a time is valid for the file, but has expired
      const timeless = new URLSearchParams({ signature: yield* Effect.flatMap(sign, (sign) => sign("/a")) })
      yield* Effect.flatMap(sign, (sign) => signedUrls.verify(sign, "a", timeless))
      assert.isTrue(yield* signedUrls.isExpired(timeless))
    })
  )

  it.effect("expires an hour after it was created", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      const expires = yield* signedUrls.nextExpiry
      assert.strictEqual(expires, 61 * 60 * 1000)
      const query = new URLSearchParams({ expires: String(expires) })
      yield* TestClock.setTime(expires - 1)
      assert.isFalse(yield* signedUrls.isExpired(query))
      yield* TestClock.setTime(expires)
      assert.isTrue(yield* signedUrls.isExpired(query))
      assert.isTrue(yield* signedUrls.isExpired(new URLSearchParams({ expires: "soon" })))
    })
  )

  it("has the query of the request", () => {
    assert.deepStrictEqual(
      [...signedUrls.queryOf(requestOf("/a?expires=1&signature=2"))],
      [
        ["expires", "1"],
        ["signature", "2"]
      ]
    )
    assert.deepStrictEqual([...signedUrls.queryOf(requestOf("/a"))], [])
  })
})
