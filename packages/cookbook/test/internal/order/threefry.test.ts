import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import { encrypt, type Key, Numbers, type Words } from "../../../src/internal/order/threefry.ts"

const words = (text: string): Words => text.split(" ").map((word) => parseInt(word, 16)) as unknown as Words

describe("Threefry", () => {
  // the vectors that its authors publish with Random123, for 4x32 and 20 rounds
  for (const [key, counter, output] of [
    ["0 0 0 0", "0 0 0 0", "9c6ca96a e17eae66 fc10ecd4 5256a7d8"],
    [
      "ffffffff ffffffff ffffffff ffffffff",
      "ffffffff ffffffff ffffffff ffffffff",
      "2a881696 57012287 f6c7446e a16a6732"
    ],
    [
      "a4093822 299f31d0 082efa98 ec4e6c89",
      "243f6a88 85a308d3 13198a2e 03707344",
      "59cd1dbb b8879579 86b5d00c ac8b6d84"
    ]
  ] as const) {
    it(`encrypts ${counter.slice(0, 8)}… as its authors do`, () => {
      assert.deepStrictEqual(encrypt(words(key), words(counter)), words(output))
    })
  }

  it("gives other numbers for any other seed, epoch or worker", () => {
    const word = FastCheck.integer({ min: 0, max: 2 ** 32 - 1 })
    const seed = FastCheck.oneof(FastCheck.maxSafeInteger(), FastCheck.integer({ min: -3, max: 3 }))
    const small = FastCheck.record({
      seed,
      epoch: FastCheck.oneof(word, FastCheck.nat(3)),
      worker: FastCheck.oneof(word, FastCheck.nat(3))
    })
    const first = (key: Key) => {
      const numbers = new Numbers(key)
      return Array.from({ length: 8 }, () => numbers.word()).join()
    }
    FastCheck.assert(
      FastCheck.property(small, small, (a, b) => {
        const isSame = a.seed === b.seed && a.epoch === b.epoch && a.worker === b.worker
        assert.strictEqual(first(a) === first(b), isSame)
      }),
      { numRuns: 2000 }
    )
  })

  it("draws every number below a bound about as often", () => {
    const numbers = new Numbers({ seed: 3, epoch: 0, worker: 0 })
    const counts = Array.from({ length: 7 }, () => 0)
    for (let i = 0; i < 70_000; i++) counts[numbers.below(7)]!++
    for (const count of counts) assert.isBelow(Math.abs(count - 10_000), 6 * Math.sqrt(10_000))
  })

  it("rejects keys that are out of range", () => {
    for (const key of [{ seed: 0.5 }, { seed: 2 ** 53 }, { epoch: -1 }, { worker: 2 ** 32 }]) {
      assert.throws(() => new Numbers({ seed: 0, epoch: 0, worker: 0, ...key }), RangeError)
    }
  })
})
