import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { maskedScore } from "../../../src/internal/model/attentionMask.ts"
import { nextPowerOfTwo } from "../../../src/internal/util/shape.ts"
import * as packing from "../../../src/internal/training/packing.ts"

const lengths = FastCheck.array(FastCheck.integer({ min: 1, max: 200 }), { maxLength: 60 })

describe("packs", () => {
  it.prop(
    "hold every sequence once, side by side, in few shapes",
    [lengths, FastCheck.integer({ min: 1, max: 2048 })],
    ([sizes, limit]) => {
      const packs = packing.pack(sizes, limit)
      const seen = packs.flatMap(({ placements }) => placements.map(({ index }) => index)).sort((a, b) => a - b)
      assert.deepStrictEqual(seen, [...sizes.keys()])
      for (const { length, placements, rows } of packs) {
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

  it("waste little of a batch of short and long texts", () => {
    const sizes = Array.from({ length: 64 }, (_, i) => 8 + ((i * 37) % 90))
    const packs = packing.pack(sizes, 1024)
    const placements = packs.reduce((sum, { length, rows }) => sum + rows * length, 0)
    assert.isBelow(placements, 1.35 * sizes.reduce((sum, size) => sum + size, 0))
  })

  it("let a position see its own sequence up to itself, and padding itself", () => {
    const pack = {
      rows: 1,
      length: 4,
      placements: [
        { index: 0, row: 0, column: 0 },
        { index: 1, row: 0, column: 2 }
      ]
    }
    const h = maskedScore
    assert.deepStrictEqual(Array.from(packing.attentionMask(pack, [2, 1])), [
      0,
      h,
      h,
      h,
      0,
      0,
      h,
      h,
      h,
      h,
      0,
      h,
      h,
      h,
      h,
      0
    ])
  })
})
