import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as distribution from "../../../src/internal/generation/distribution.ts"
import * as selection from "../../../src/internal/generation/selection.ts"

/** All indices in descending order of the values, ties by index. */
const sorted = (values: Float64Array) => [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b)

/** The token by a sort of all weights, which `sampleFiltered` must equal. Sums of whole numbers have no rounding. */
const bySorting = (weights: Float64Array, topK: number, topP: number, uniform: number): number => {
  let kept = sorted(weights).slice(0, topK >= 1 ? topK : weights.length)
  const sumOf = (indices: ReadonlyArray<number>) => indices.reduce((sum, index) => sum + weights[index]!, 0)
  if (topP < 1) {
    const bound = topP * sumOf(kept)
    let before = 0
    kept = kept.filter((index, i) => {
      const isKept = i === 0 || before < bound
      before += weights[index]!
      return isKept
    })
  }
  let rest = uniform * sumOf(kept)
  return kept.find((index) => (rest -= weights[index]!) < 0) ?? kept[kept.length - 1]!
}

/** Many weights as whole numbers: with a long tail, flat, or in a few groups of equal ones. */
const manyWeights = FastCheck.tuple(FastCheck.integer({ min: 1, max: 3000 }), FastCheck.nat(), FastCheck.nat(2)).map(
  ([size, seed, kind]) =>
    Float64Array.from({ length: size }, (_, i) => {
      const hash = Math.imul(i + seed, 0x9e37_79b1) >>> 8
      return kind === 0 ? 1 + (hash % 3) : kind === 1 ? 2 ** 30 + hash : Math.ceil(2 ** 30 / (1 + (hash % 997) ** 3))
    })
)

describe("sampleFiltered", () => {
  it.prop(
    "chooses the token that a sort of all weights chooses",
    [
      manyWeights,
      FastCheck.integer({ min: -1, max: 3000 }),
      FastCheck.integer({ min: 1, max: 64 }),
      FastCheck.nat(1023)
    ],
    ([weights, topK, share, draw]) => {
      const [topP, uniform] = [share / 64, draw / 1024]
      const sum = weights.reduce((a, b) => a + b, 0)
      const token = distribution.sampleFiltered(weights, sum, { topK, topP }, uniform)
      assert.strictEqual(token, bySorting(weights, topK, topP, uniform))
    }
  )

  it("takes less time than a sort, for a flat distribution over 152,000 tokens", () => {
    const weights = Float64Array.from(
      { length: 152_000 },
      (_, i) => 1 + ((Math.imul(i, 0x9e37_79b1) >>> 8) % 9973) / 1e6
    )
    const sum = weights.reduce((a, b) => a + b, 0)
    const time = (work: () => void) => {
      const start = performance.now()
      work()
      return performance.now() - start
    }
    distribution.sampleFiltered(weights, sum, { topK: -1, topP: 0.95 }, 0.5)
    const selecting = time(() => distribution.sampleFiltered(weights, sum, { topK: -1, topP: 0.95 }, 0.5))
    const sorting = time(() => sorted(weights))
    assert.isBelow(selecting, sorting)
  })
})

describe("largest", () => {
  it.prop(
    "has the first indices of a sort, for values of any sign",
    [FastCheck.float64Array({ noNaN: true, minLength: 1, maxLength: 2000 }), FastCheck.integer({ min: 1, max: 20 })],
    ([values, count]) => {
      const plain = values.map((value) => value + 0)
      assert.deepStrictEqual(selection.largest(plain, count), sorted(plain).slice(0, count))
    }
  )
})
