import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as packing from "../../../src/internal/training/packing.ts"

const lengths = FastCheck.array(FastCheck.integer({ min: 1, max: 200 }), { maxLength: 60 })

describe("packs", () => {
  it.prop(
    "hold every sequence once, side by side, in few shapes",
    [lengths, FastCheck.integer({ min: 1, max: 2048 })],
    ([sizes, limit]) => {
      const packs = packing.pack(sizes, limit)
      const seen = packs.flatMap(({ places }) => places.map(({ item }) => item)).sort((a, b) => a - b)
      assert.deepStrictEqual(seen, [...sizes.keys()])
      for (const { length, places, rows } of packs) {
        assert.strictEqual(rows, packing.bucket(rows))
        assert.strictEqual(length, packing.bucket(length, 16))
        if (rows > 1) assert.isAtMost(rows * length, 2 * limit)
        const taken = new Set<number>()
        for (const { column, item, row } of places) {
          assert.isTrue(row < rows && column + sizes[item]! <= length)
          for (let i = 0; i < sizes[item]!; i++) taken.add(row * length + column + i)
        }
        assert.strictEqual(
          taken.size,
          places.reduce((sum, { item }) => sum + sizes[item]!, 0)
        )
      }
    }
  )

  it("waste little of a batch of short and long texts", () => {
    const sizes = Array.from({ length: 64 }, (_, i) => 8 + ((i * 37) % 90))
    const packs = packing.pack(sizes, 1024)
    const places = packs.reduce((sum, { length, rows }) => sum + rows * length, 0)
    assert.isBelow(places, 1.35 * sizes.reduce((sum, size) => sum + size, 0))
  })

  it("let a position see its own sequence up to itself, and padding itself", () => {
    const pack = {
      rows: 1,
      length: 4,
      places: [
        { item: 0, row: 0, column: 0 },
        { item: 1, row: 0, column: 2 }
      ]
    }
    const h = packing.hidden
    assert.deepStrictEqual(Array.from(packing.mask(pack, [2, 1])), [0, h, h, h, 0, 0, h, h, h, h, 0, h, h, h, h, 0])
  })
})
