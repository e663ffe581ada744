import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Batches from "../src/Batches.ts"

const items = Array.from({ length: 10 }, (_, i) => i)
const take = (batches: Batches.Batches<number>, steps: number) =>
  Effect.map(
    Effect.forEach(
      Array.from({ length: steps }, (_, step) => step),
      batches.at
    ),
    (all) => all.flat()
  )

describe("Batches", () => {
  it.effect("contain every item once per epoch, in a different order in each epoch", () =>
    Effect.gen(function* () {
      const seen = yield* take(Batches.make(items, { size: 4, seed: 1 }), 10)
      const epochs = [0, 1, 2, 3].map((epoch) => seen.slice(epoch * 10, epoch * 10 + 10))
      for (const epoch of epochs) assert.deepStrictEqual(epoch.slice().sort(), items)
      assert.strictEqual(new Set(epochs.map((epoch) => epoch.join())).size, 4)
    })
  )

  it.effect("are the same for a step whatever steps were requested before", () =>
    Effect.gen(function* () {
      const all = yield* take(Batches.make(items, { size: 4, seed: 7 }), 40)
      const resumed = Batches.make(items, { size: 4, seed: 7 })
      assert.deepStrictEqual(yield* resumed.at(31), all.slice(124, 128))
      assert.deepStrictEqual(yield* resumed.at(2), all.slice(8, 12))
      assert.notDeepEqual(yield* take(Batches.make(items, { size: 4, seed: 8 }), 40), all)
    })
  )

  it.effect("repeat items if a batch is larger than an epoch", () =>
    Effect.map(Batches.make([1], { size: 3, seed: 0 }).at(5), (batch) => assert.deepStrictEqual(batch, [1, 1, 1]))
  )

  it("throw a RangeError without items, or for an invalid size", () => {
    assert.throws(() => Batches.make([], { size: 1, seed: 0 }), RangeError)
    for (const size of [0, -1, 1.5, Number.NaN]) assert.throws(() => Batches.make(items, { size, seed: 0 }), RangeError)
  })
})
