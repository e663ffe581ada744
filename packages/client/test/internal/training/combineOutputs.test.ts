import type * as Training from "@effect-tinker/api/Training"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { combineOutputs, hashUnordered } from "../../../src/internal/training/combineOutputs.ts"

const output = (count: number, metrics: Record<string, number>): Training.ForwardBackwardOutput => ({
  loss_fn_output_type: "ArrayRecord",
  loss_fn_outputs: Array.from({ length: count }, () => ({})),
  metrics
})

describe("combining the outputs of chunks", () => {
  it("reduces each metric by the suffix of its name", () => {
    const combined = combineOutputs([
      output(2, { "m:mean": 3, "s:slack": 2, "loss:sum": 1.5, "cc:unique": 4, "lo:min": 1, "hi:max": 1, "z:last": 9 }),
      output(2, { "m:mean": 6, "s:slack": 2, "loss:sum": 1.5, "cc:unique": 5, "lo:min": -1, "hi:max": 8, "z:last": 9 }),
      output(1, { "m:mean": 6, "s:slack": 2, "loss:sum": 1.5, "cc:unique": 5, "lo:min": 3, "hi:max": 2, "n:sum": 1 })
    ])
    assert.strictEqual(combined.loss_fn_outputs.length, 5)
    assert.closeTo(combined.metrics["m:mean"]!, 4.8, 1e-12)
    assert.closeTo(combined.metrics["s:slack"]!, 0, 1e-12)
    assert.deepStrictEqual(
      Object.fromEntries(Object.entries(combined.metrics).filter(([key]) => !/:(mean|slack)$/.test(key))),
      { "loss:sum": 4.5, "cc:unique": 4, "cc:unique_1": 5, "cc:unique_2": 5, "lo:min": -1, "hi:max": 8 }
    )
  })

  it("hashes unordered values like the official client", () => {
    const table: ReadonlyArray<readonly [ReadonlyArray<number>, bigint]> = [
      [[1], -6644214454873602895n],
      [[0], -8753497827991233192n],
      [[-1], 8078679518589016365n],
      [[3, 1, 2], 529344067295497451n],
      [[5, 5], 2283807709307846243n],
      [[5, 5, 5], 4299663944376826947n],
      [[67890, 12345], -8213766557046035702n]
    ]
    for (const [values, hash] of table) assert.strictEqual(hashUnordered(values), hash, String(values))
    assert.strictEqual(
      combineOutputs([output(1, { "h:hash_unordered": 1 })]).metrics["h:hash_unordered"],
      Number(-6644214454873602895n)
    )
  })

  it("gives the same sums, maxima and means however the batch was split", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 20 }), (values) => {
        const { metrics } = combineOutputs(
          values.map((value) => output(1, { "a:sum": value, "b:max": value, "c:mean": value }))
        )
        const sum = values.reduce((a, b) => a + b, 0)
        assert.strictEqual(metrics["a:sum"], sum)
        assert.strictEqual(metrics["b:max"], Math.max(...values))
        assert.closeTo(metrics["c:mean"]!, sum / values.length, 1e-9)
      })
    )
  })

  it("drops a mean over no outputs instead of reporting NaN", () => {
    assert.deepStrictEqual(combineOutputs([output(0, { "a:mean": 1, "b:sum": 2 })]).metrics, { "b:sum": 2 })
  })
})
