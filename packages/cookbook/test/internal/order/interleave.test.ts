import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import { plan } from "../../../src/internal/order/interleave.ts"

const source = FastCheck.record({
  size: FastCheck.integer({ min: 1, max: 25 }),
  weight: FastCheck.double({ min: 0.5, max: 5, noNaN: true })
})

const sources = FastCheck.array(source, { minLength: 1, maxLength: 6 })

describe("plan", () => {
  it("takes the rows of each source in their order, and each row at least once, or exactly once", () => {
    FastCheck.assert(
      FastCheck.property(sources, FastCheck.boolean(), (given, repeats) => {
        const sizes = given.map(({ size }) => size)
        const { at, counts, size } = plan(
          sizes,
          given.map(({ weight }) => weight),
          repeats
        )
        const next = sizes.map(() => 0)
        for (let position = 0; position < size; position++) {
          const { index, source: from } = at(position)
          assert.strictEqual(index, next[from]!++)
        }
        assert.deepStrictEqual(next, counts)
        if (!repeats) assert.deepStrictEqual(counts, sizes)
        else {
          for (const [i, rows] of sizes.entries()) assert.isAtLeast(counts[i]!, rows)
          // the row before the last one had not ended all of them
          const last = at(size - 1)
          assert.strictEqual(last.index + 1, sizes[last.source]!)
        }
      })
    )
  })

  it("keeps each source near its share while none has ended", () => {
    FastCheck.assert(
      FastCheck.property(sources, FastCheck.boolean(), (given, repeats) => {
        const sizes = given.map(({ size }) => size)
        const total = given.reduce((sum, { weight }) => sum + weight, 0)
        const { at, size } = plan(
          sizes,
          given.map(({ weight }) => weight),
          repeats
        )
        const taken = sizes.map(() => 0)
        for (let position = 0; position < size; position++) {
          taken[at(position).source]!++
          if (!repeats && taken.some((rows, i) => rows >= sizes[i]!)) return
          for (const [i, rows] of taken.entries()) {
            const share = (given[i]!.weight / total) * (position + 1)
            assert.isBelow(Math.abs(share - rows), Math.max(1, given.length - 1) + 1e-9)
          }
        }
      })
    )
  })

  it("refuses a mix that would hardly end", () => {
    assert.throws(() => plan([1e6, 10], [1e-6, 1], true), RangeError)
  })
})
