import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "fast-check"
import * as Dataset from "../../../src/Dataset.ts"
import * as warnings from "../../utils/warnings.ts"

const all = <A>(dataset: Dataset.Dataset<A>) =>
  Effect.forEach(
    Array.from({ length: dataset.size }, (_, i) => i),
    dataset.at
  )

/** Few different rows, so that many are the same. */
const rows = FastCheck.array(
  FastCheck.nat(12).map((row) => `row ${row}`),
  { minLength: 1, maxLength: 30 }
)

describe("holdOut", () => {
  it.effect("leaves no row in training that is held out, and one row at least to each source", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.array(FastCheck.tuple(rows, FastCheck.option(FastCheck.nat(3), { nil: undefined })), {
            minLength: 1,
            maxLength: 4
          }),
          FastCheck.nat(8),
          FastCheck.nat(),
          (given, count, seed) =>
            Effect.gen(function* () {
              const hasWeights = given.every(([, weight]) => weight !== undefined)
              const sources = given.map(([items, weight], i) => ({
                dataset: Dataset.fromArray(items, { name: `source ${i}` }),
                weight: hasWeights ? weight : undefined
              }))
              if (hasWeights && given.every(([, weight]) => weight === 0)) return
              const split = yield* Effect.either(Dataset.holdOut(sources, { count, seed }))
              if (split._tag === "Left") {
                assert.match(split.left.message, /cannot be held out|nothing is left to train on/)
                return
              }
              const { heldOut, overlap, train } = split.right
              const out = yield* all(heldOut)
              assert.isAtMost(out.length, count)
              assert.strictEqual(new Set(out).size, out.length)
              const counted = sources.filter(({ weight }) => weight !== 0)
              assert.strictEqual(train.length, counted.length)
              let kept = 0
              for (const [i, { dataset, weight }] of train.entries()) {
                const items = yield* all(dataset)
                kept += items.length
                assert.isNotEmpty(items)
                assert.strictEqual(weight, counted[i]!.weight)
                for (const item of items) assert.notInclude(out, item)
                // in their order, each as often as before
                const expected = (yield* all(counted[i]!.dataset)).filter((item) => !out.includes(item))
                assert.deepStrictEqual(items, expected)
              }
              const total = counted.reduce((sum, { dataset }) => sum + dataset.size, 0)
              assert.strictEqual(kept + out.length + overlap, total)
              const again = yield* Dataset.holdOut(sources, { count, seed })
              assert.deepStrictEqual(yield* all(again.heldOut), out)
            }).pipe(Effect.provide(silent), Effect.runPromise)
        )
      )
    )
  )

  const silent = Effect.runSync(warnings.make).layer

  it.effect("draws from each source by its weight", () =>
    Effect.gen(function* () {
      const source = (name: string, weight: number) => ({
        dataset: Dataset.fromArray(
          Array.from({ length: 100 }, (_, i) => `${name} ${i}`),
          { name }
        ),
        weight
      })
      const { heldOut } = yield* Dataset.holdOut([source("a", 3), source("b", 1), source("c", 0)], {
        count: 40,
        seed: 0
      })
      const names = (yield* all(heldOut)).map((row) => row[0])
      assert.deepStrictEqual([names.filter((name) => name === "a").length, names.length], [30, 40])
    })
  )

  it.effect("takes the rows that are marked, and says which others are the same", () =>
    Effect.gen(function* () {
      const logs = yield* warnings.make
      const dataset = Dataset.fromArray([{ q: 1 }, { q: 2, split: "test" }, { q: 3 }, { q: 2, split: "test" }])
      const { heldOut, overlap, train } = yield* Dataset.holdOut([{ dataset }], "marked").pipe(
        Effect.provide(logs.layer)
      )
      assert.deepStrictEqual([heldOut.size, overlap, train[0]!.dataset.size], [2, 0, 2])
      assert.deepStrictEqual(yield* logs.messages, [])
      const rest = Dataset.fromArray([{ q: 2, split: "test" }, { q: 4 }])
      const same = { ...rest, hashAt: () => rest.hashAt(0), isTest: (position: number) => position === 0 }
      const failure = yield* Effect.flip(Dataset.holdOut([{ dataset: same }], "marked"))
      assert.match(failure.message, /nothing is left to train on/)
      const both = yield* Dataset.holdOut(
        [{ dataset }, { dataset: Dataset.fromArray([{ q: 2, split: "test" }, { q: 5 }]) }],
        "marked"
      )
      assert.deepStrictEqual([both.heldOut.size, both.overlap], [3, 0])
    })
  )
})
