import { assert, describe, it } from "@effect/vitest"
import * as random from "../../../src/internal/util/random.ts"

describe("Random numbers", () => {
  it("are uniform, and differ by seed, stream and index", () => {
    const bins = Array.from({ length: 16 }, () => 0)
    for (let seed = 0; seed < 200; seed++) {
      const key = random.streamKey(seed, "a")
      for (let i = 0; i < 500; i++) bins[Math.floor(random.uniform(key, i) * 16)]!++
    }
    // the expected count is 6,250, with a standard deviation of 77
    for (const count of bins) assert.approximately(count, 6250, 400)
    const values = new Set<number>()
    for (const seed of [0, 1, -1, 2 ** 32, 2 ** 53 - 1]) {
      for (const stream of ["a", "b", 1]) {
        for (let i = 0; i < 100; i++) values.add(random.uniform(random.streamKey(seed, stream), i))
      }
    }
    assert.strictEqual(values.size, 1500)
  })
})
