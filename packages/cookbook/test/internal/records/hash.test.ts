import * as Json from "@effect-tinker/tokenizers/Json"
import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import { Fingerprint, hashOf } from "../../../src/internal/records/hash.ts"
import { HashSet } from "../../../src/internal/records/hashSet.ts"

/** The JSON of a value with its keys in order. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each
  )

describe("hashes of records", () => {
  it("are equal for equal records, whatever the order of their keys, and differ for others", () => {
    const values = FastCheck.jsonValue({ maxDepth: 3 })
    FastCheck.assert(
      FastCheck.property(values, values, (a, b) => {
        const [x, y] = [hashOf(a), hashOf(b)]
        assert.isTrue(Number.isSafeInteger(x) && x >= 0)
        assert.strictEqual(x === y, canonical(a) === canonical(b))
      }),
      { numRuns: 1000 }
    )
    assert.strictEqual(hashOf({ a: 1, b: [2, null] }), hashOf({ b: [2, null], a: 1 }))
    assert.strictEqual(hashOf({ a: 1, b: undefined }), hashOf({ a: 1 }))
    assert.notStrictEqual(hashOf([["a"], "b"]), hashOf(["a", ["b"]]))
    assert.notStrictEqual(hashOf("ab\0"), hashOf("ab"))
    assert.notStrictEqual(hashOf(new Json.Numeral("1.0")), hashOf(1))
  })

  it("of 50,000 records do not collide, and set all of their bits about as often", () => {
    const seen = new Set<number>()
    const bits = new Float64Array(53)
    for (let i = 0; i < 50_000; i++) {
      const hash = hashOf({ prompt: `question ${i}`, completion: "yes" })
      seen.add(hash)
      for (let bit = 0; bit < 53; bit++) bits[bit]! += Math.floor(hash / 2 ** bit) % 2
    }
    assert.strictEqual(seen.size, 50_000)
    // six standard deviations
    for (const count of bits) assert.isBelow(Math.abs(count - 25_000), 6 * Math.sqrt(12_500))
  })

  it("are kept in sets that behave like those of the language", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.maxSafeNat(), { maxLength: 500 }),
        FastCheck.array(FastCheck.nat(700)),
        (some, others) => {
          const [set, expected] = [new HashSet(), new Set<number>()]
          for (const hash of [...some, ...others, ...some]) {
            assert.strictEqual(set.add(hash), !expected.has(hash))
            expected.add(hash)
          }
          for (const hash of [...some, ...others, 0, 1, 255, 256]) assert.strictEqual(set.has(hash), expected.has(hash))
        }
      )
    )
  })

  it("make fingerprints that depend on their order", () => {
    const of = (...hashes: ReadonlyArray<number>) => {
      const fingerprint = new Fingerprint()
      for (const hash of hashes) fingerprint.add(hash)
      return fingerprint.toString()
    }
    assert.match(of(1, 2), /^[0-9a-f]{16}$/)
    assert.strictEqual(new Set([of(), of(0), of(0, 0), of(1, 2), of(2, 1), of(2 ** 52), of(2 ** 40)]).size, 7)
  })
})
