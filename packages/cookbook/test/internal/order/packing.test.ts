import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import { batchStarts } from "../../../src/internal/order/packing.ts"

describe("batchStarts", () => {
  it("puts every item into one batch within the budget, and none that would have fitted into the one before", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.integer({ min: 1, max: 20 }), { maxLength: 60 }),
        FastCheck.integer({ min: 20, max: 60 }),
        FastCheck.integer({ min: 1, max: 8 }),
        (lengths, tokens, items) => {
          const order = lengths.map((_, i) => lengths.length - 1 - i)
          const starts = batchStarts(order, (item) => lengths[item]!, { tokens, items })
          const batches = starts.slice(0, -1).map((start, i) => order.slice(start, starts[i + 1]))
          assert.deepStrictEqual(batches.flat(), order)
          const sum = (batch: ReadonlyArray<number>) => batch.reduce((all, item) => all + lengths[item]!, 0)
          for (const [i, batch] of batches.entries()) {
            assert.isNotEmpty(batch)
            assert.isAtMost(sum(batch), tokens)
            assert.isAtMost(batch.length, items)
            const following = batches[i + 1]?.[0]
            if (following !== undefined) {
              assert.isTrue(sum([...batch, following]) > tokens || batch.length === items)
            }
          }
        }
      )
    )
  })
})
