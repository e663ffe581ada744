import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import { maskedScore } from "../../../src/internal/model/attentionMask.ts"
import { nextPowerOfTwo } from "../../../src/internal/util/shape.ts"
import * as packing from "../../../src/internal/training/packing.ts"

const lengths = FastCheck.array(FastCheck.integer({ min: 1, max: 200 }), { maxLength: 60 })

describe("Packing", () => {
  it.prop(
    "places every sequence once, without overlap, in shapes of powers of two",
    [lengths, FastCheck.integer({ min: 1, max: 2048 })],
    ([sizes, limit]) => {
      const microbatches = packing.pack(sizes, limit)
      const seen = microbatches.flatMap(({ placements }) => placements.map(({ index }) => index)).sort((a, b) => a - b)
      assert.deepStrictEqual(seen, [...sizes.keys()])
      for (const { length, placements, rows } of microbatches) {
        assert.strictEqual(rows, nextPowerOfTwo(rows))
        assert.strictEqual(length, nextPowerOfTwo(length, 16))
        if (rows > 1) assert.isAtMost(rows * length, 2 * limit)
        const taken = new Set<number>()
        for (const { column, index, row } of placements) {
          assert.isTrue(row < rows && column + sizes[index]! <= length)
          for (let i = 0; i < sizes[index]!; i++) taken.add(row * length + column + i)
        }
        assert.strictEqual(
          taken.size,
          placements.reduce((sum, { index }) => sum + sizes[index]!, 0)
        )
      }
    }
  )

  it("needs little padding for texts of mixed lengths", () => {
    const sizes = Array.from({ length: 64 }, (_, i) => 8 + ((i * 37) % 90))
    const microbatches = packing.pack(sizes, 1024)
    const tokens = microbatches.reduce((sum, { length, rows }) => sum + rows * length, 0)
    assert.isBelow(tokens, 1.35 * sizes.reduce((sum, size) => sum + size, 0))
  })

  it("masks all but the earlier positions of the same sequence; padding attends to itself", () => {
    const microbatch = {
      rows: 1,
      length: 4,
      placements: [
        { index: 0, row: 0, column: 0 },
        { index: 1, row: 0, column: 2 }
      ]
    }
    const m = maskedScore
    assert.deepStrictEqual(
      Array.from(packing.attentionMask(microbatch, [2, 1])),
      [
        [0, m, m, m],
        [0, 0, m, m],
        [m, m, 0, m],
        [m, m, m, 0]
      ].flat()
    )
  })
})
