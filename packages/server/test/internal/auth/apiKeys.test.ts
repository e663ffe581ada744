import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { DurationInput } from "effect/Duration"
import * as TestClock from "effect/TestClock"
import { ApiKeys, layer, type Service } from "../../../src/internal/auth/apiKeys.ts"
import * as currentUser from "../../../src/internal/auth/currentUser.ts"
import { makeKeySign } from "../../../src/internal/auth/signing.ts"
import * as tokens from "../../../src/internal/auth/tokens.ts"

const keysOf = (...keys: ReadonlyArray<string>) => keys.map((key) => Redacted.make(key))

const use = <A, E>(
  keys: ReadonlyArray<string>,
  lifetime: DurationInput | undefined,
  run: (service: Service) => Effect.Effect<A, E>
) => Effect.provide(Effect.flatMap(ApiKeys, run), layer(keysOf(...keys), lifetime))

const as = (id: string | undefined) => Effect.provideService(currentUser.CurrentUser, { id })

describe("the user of a request", () => {
  it.effect("is that of its key, and everyone where there are no keys", () =>
    Effect.gen(function* () {
      yield* use(["ada", "bob"], undefined, ({ identify, issuesTokens, token }) =>
        Effect.gen(function* () {
          const [ada, bob] = [yield* identify("ada"), yield* identify("bob")]
          // the start of the SHA-256 of "ada"
          assert.deepStrictEqual(ada, { id: "user-fdee430d40bd" })
          assert.match(bob!.id!, /^user-[0-9a-f]{12}$/)
          assert.notStrictEqual(ada!.id, bob!.id)
          for (const wrong of ["", undefined, "eve", "eyJ", "user-x", ada!.id]) {
            assert.strictEqual(yield* identify(wrong), undefined, wrong)
          }
          assert.isFalse(issuesTokens)
          assert.strictEqual(yield* as("ada")(token), undefined)
        })
      )
      yield* use([], undefined, ({ identify }) =>
        Effect.gen(function* () {
          for (const any of [undefined, "", "x"]) assert.deepStrictEqual(yield* identify(any), currentUser.everyone)
        })
      )
    })
  )

  it.effect("is that of a token, while it is valid and the user has a key", () =>
    Effect.gen(function* () {
      const token = yield* use(["ada", "bob"], "1 minute", ({ identify, issuesTokens, token }) =>
        Effect.gen(function* () {
          assert.isTrue(issuesTokens)
          assert.strictEqual(yield* as(undefined)(token), undefined)
          const bob = yield* identify("bob")
          const issued = yield* as(bob!.id)(token)
          assert.deepStrictEqual(yield* identify(issued), bob)
          for (const wrong of [undefined, "", "eyJ"]) assert.strictEqual(yield* identify(wrong), undefined)
          const sign = yield* makeKeySign(keysOf("ada", "bob"), "tokens")
          assert.strictEqual(yield* tokens.verify(sign, issued!), bob!.id)
          const ofNobody = yield* as("user-nobody")(token)
          assert.strictEqual(yield* identify(ofNobody), undefined)
          yield* TestClock.adjust("60 seconds")
          assert.strictEqual(yield* identify(issued), undefined)
          return (yield* as(bob!.id)(token))!
        })
      )
      // a service that issues none, and one with other keys, accept none
      for (const [keys, lifetime] of [
        [["ada", "bob"], undefined],
        [["ada", "eve"], "1 minute"]
      ] as const) {
        assert.strictEqual(yield* use(keys, lifetime, ({ identify }) => identify(token)), undefined)
      }
    })
  )
})

describe("a weights access token", () => {
  it.effect("adds the user whose key it is, and leaves the current one what they are", () =>
    use(["ada", "bob"], undefined, ({ identify, withAccess }) =>
      Effect.gen(function* () {
        const [ada, bob] = [(yield* identify("ada"))!.id, (yield* identify("bob"))!.id]
        const user = Effect.map(currentUser.CurrentUser, (user): currentUser.User => user)
        assert.deepStrictEqual(yield* as(bob)(withAccess(user, "ada")), { id: bob, delegatedReadAs: ada })
        assert.deepStrictEqual(yield* as(bob)(withAccess(user, undefined)), { id: bob })
        for (const wrong of ["", "eve"]) {
          const rejection = yield* Effect.flip(as(bob)(withAccess(user, wrong)))
          assert.strictEqual(rejection._tag, "ForbiddenResponse")
          assert.strictEqual(rejection.detail, "the weights access token is not a key of this service")
        }
      })
    )
  )
})

describe("the owner of a resource", () => {
  it("is compared with the user, has a name, and nobody owns what everybody owns alone", () => {
    assert.isTrue(currentUser.owns({ id: "a" }, "a"))
    assert.isFalse(currentUser.owns({ id: "a" }, "b"))
    assert.isTrue(currentUser.owns({ id: "a" }, undefined))
    assert.isTrue(currentUser.owns({ id: undefined }, "b"))
    assert.strictEqual(currentUser.ownerName(undefined), "local")
    assert.strictEqual(currentUser.ownerName("a"), "a")
  })
})
