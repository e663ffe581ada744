import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as signing from "../../../src/internal/auth/signing.ts"

const keysOf = (...keys: ReadonlyArray<string>) => keys.map((key) => Redacted.make(key))

describe("the key of a request", () => {
  it("is found among the keys if it equals one, and not if it is a part of one or begins with one", () => {
    const keys = keysOf("tml-ada", "tml-bob", "", "é")
    for (const [given, index] of [
      ["tml-ada", 0],
      ["tml-bob", 1],
      ["é", 3],
      ["tml-adb", -1],
      ["xml-ada", -1],
      ["tml-ad", -1],
      ["tml-adaa", -1],
      ["tml-adatml-ada", -1],
      ["tml-ada\0", -1],
      ["TML-ADA", -1],
      ["t", -1],
      ["", -1],
      [undefined, -1]
    ] as const) {
      assert.strictEqual(signing.indexOf(keys, given), index, JSON.stringify(given))
    }
    assert.strictEqual(signing.indexOf([], ""), -1)
    assert.strictEqual(signing.indexOf(keysOf(""), ""), -1)
  })

  it("matches a secret that is equal, and an empty secret matches nothing", () => {
    assert.isTrue(signing.matches("ab", "ab"))
    for (const [expected, given] of [
      ["ab", "ba"],
      ["ab", "a"],
      ["a", "aa"],
      ["ab", ""],
      ["", ""],
      ["", "a"]
    ] as const) {
      assert.isFalse(signing.matches(expected, given), `${expected} ${given}`)
    }
  })
})

describe("a signature", () => {
  it.effect("is valid for one message, one purpose, and the same keys in the same order", () =>
    Effect.gen(function* () {
      const signs = yield* Effect.forEach(
        [
          [keysOf("a", "b"), "tokens"],
          [keysOf("a", "b"), "downloads"],
          [keysOf("a"), "tokens"],
          [keysOf("ab"), "tokens"],
          [keysOf("b", "a"), "tokens"],
          [keysOf(), "tokens"]
        ] as const,
        ([keys, purpose]) => signing.makeKeySign(keys, purpose)
      )
      const signatures = yield* Effect.forEach(signs, (sign) => sign("m"))
      assert.strictEqual(new Set(signatures).size, signs.length)
      assert.match(signatures[0]!, /^[0-9a-f]{64}$/)
      const again = yield* signing.makeKeySign(keysOf("a", "b"), "tokens")
      assert.strictEqual(yield* again("m"), signatures[0])
      assert.notStrictEqual(yield* again("n"), signatures[0])
    })
  )
})
