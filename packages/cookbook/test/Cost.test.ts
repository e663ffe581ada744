import { assert, describe, it } from "@effect/vitest"
import * as Cost from "../src/Cost.ts"

const prices: Cost.Prices = { train: 4, sample: 3, prefill: 2, cached_prefill: 1 }

describe("the cost of a step", () => {
  it("is what each kind of token costs by the million, for the step and for the run", () => {
    const step = { trained: 1e6, sampled: 5e5, prefill_uncached: 1e6, prefill_cached: 2e6 }
    assert.strictEqual(Cost.usd(step, prices), 4 + 1.5 + 2 + 2)
    assert.deepStrictEqual(Cost.rows({ trained: 10 }, { trained: 30 }, prices), {
      "tokens/trained": 10,
      "tokens/cumulative/trained": 30,
      "cost/step_usd": 4e-5,
      "cost/cumulative_usd": 12e-5
    })
  })

  it("has no money without prices", () => {
    assert.deepStrictEqual(Cost.rows({ trained: 10, sampled: 5 }, { trained: 10, sampled: 5 }, undefined), {
      "tokens/trained": 10,
      "tokens/cumulative/trained": 10,
      "tokens/sampled": 5,
      "tokens/cumulative/sampled": 5
    })
  })
})
