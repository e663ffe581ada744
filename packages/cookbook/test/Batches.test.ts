import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "fast-check"
import * as Batches from "../src/Batches.ts"
import * as Dataset from "../src/Dataset.ts"

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

  const orders = [{}, { seed: 5 }, { seed: 5, worker: 1 }] as const

  it.effect("of a size have every item once an epoch, but for what is left out by choice", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.integer({ min: 1, max: 40 }),
          FastCheck.integer({ min: 1, max: 12 }),
          FastCheck.constantFrom("continue" as const, "keep" as const, "drop" as const),
          FastCheck.constantFrom(...orders),
          (count, size, last, order) =>
            Effect.gen(function* () {
              const data = Array.from({ length: count }, (_, i) => i)
              if (last === "drop" && count < size) {
                assert.throws(() => Batches.make(data, { size, last, ...order }), RangeError)
                return
              }
              const batches = Batches.make(data, { size, last, ...order })
              assert.strictEqual(batches.dropped, last === "drop" ? count % size : 0)
              const steps = last === "continue" ? count : batches.stepsPerEpoch * 3
              const epochs = last === "continue" ? size : 3
              const seen = yield* Effect.forEach(
                Array.from({ length: steps }, (_, step) => step),
                batches.at
              )
              const perEpoch = count - batches.dropped
              const flat = seen.flat()
              assert.strictEqual(flat.length, perEpoch * epochs)
              for (let epoch = 0; epoch < epochs; epoch++) {
                const items = flat.slice(epoch * perEpoch, (epoch + 1) * perEpoch)
                assert.strictEqual(new Set(items).size, perEpoch)
              }
              if (!("seed" in order)) assert.deepStrictEqual(flat.slice(0, perEpoch), data.slice(0, perEpoch))
              // from any step on, without the ones before
              const again = Batches.make(data, { size, last, ...order })
              const step = Math.floor(steps / 2)
              assert.deepStrictEqual(yield* again.at(step), seen[step]!)
            }).pipe(Effect.runPromise)
        )
      )
    )
  )

  it.effect("by tokens have every item once an epoch, and resume at any step", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.array(FastCheck.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 }),
          FastCheck.nat(4),
          (lengths, seed) =>
            Effect.gen(function* () {
              const make = () =>
                Batches.byTokens(
                  lengths.map((_, i) => i),
                  lengths,
                  { tokens: 12, seed }
                )
              const batches = yield* make()
              const seen: Array<ReadonlyArray<number>> = []
              while (seen.flat().length < lengths.length * 3) seen.push(yield* batches.at(seen.length))
              const flat = seen.flat()
              for (let epoch = 0; epoch < 3; epoch++) {
                const items = flat.slice(epoch * lengths.length, (epoch + 1) * lengths.length)
                assert.strictEqual(new Set(items).size, lengths.length)
              }
              for (const batch of seen)
                assert.isAtMost(
                  batch.reduce((sum, item) => sum + lengths[item]!, 0),
                  12
                )
              const again = yield* make()
              for (const step of [seen.length - 1, 0, Math.floor(seen.length / 2)]) {
                assert.deepStrictEqual(yield* again.at(step), seen[step]!)
              }
            }).pipe(Effect.runPromise)
        )
      )
    )
  )

  it.effect("by tokens are the same if several are made at once, also of epochs that take a while to shuffle", () =>
    Effect.gen(function* () {
      const lengths = new Uint32Array(120_000).fill(1)
      const make = Batches.byTokens(Array.from(lengths.keys()), lengths, { tokens: 1000, seed: 1 })
      const steps = [240, 241, 359, 360]
      const together = yield* Effect.flatMap(make, ({ at }) => Effect.forEach(steps, at, { concurrency: "unbounded" }))
      const apart = yield* Effect.flatMap(make, ({ at }) => Effect.forEach(steps, at))
      assert.deepStrictEqual(
        together.map((batch) => batch.slice(0, 3)),
        apart.map((batch) => batch.slice(0, 3))
      )
    })
  )

  it.effect("by tokens name an item that fits into no batch", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Batches.byTokens(["a", "b"], [3, 13], { tokens: 12 }))
      assert.strictEqual(
        error.message,
        "the items row 1: has 13 tokens, but a batch may have 12: shorten it or raise that"
      )
    })
  )

  it("have a fingerprint of the data and the options", () => {
    const of = (data: ReadonlyArray<number>, options: Batches.Options) => Batches.make(data, options).fingerprint
    const all = [
      of([1, 2], { size: 1, seed: 0 }),
      of([2, 1], { size: 1, seed: 0 }),
      of([1, 2], { size: 2, seed: 0 }),
      of([1, 2], { size: 1, seed: 1 }),
      of([1, 2], { size: 1, seed: 0, worker: 1 }),
      of([1, 2], { size: 1, seed: 0, last: "keep" })
    ]
    assert.strictEqual(new Set(all).size, all.length)
    assert.strictEqual(of([1, 2], { size: 1, seed: 0 }), all[0])
  })

  it.effect("of a mix take each source by its weight, and all rows", () =>
    Effect.gen(function* () {
      const source = (name: string, size: number) =>
        Dataset.fromArray(
          Array.from({ length: size }, (_, i) => `${name}${i}`),
          { name }
        )
      const [a, b] = [source("a", 30), source("b", 5)]
      const mix = Dataset.mix(
        [
          { dataset: a, weight: 2 },
          { dataset: b, weight: 1 },
          { dataset: source("c", 9), weight: 0 }
        ],
        { repeat: true }
      )
      const rows = yield* Batches.make(mix, { size: mix.size, last: "keep", seed: 3 }).at(4)
      assert.deepStrictEqual([rows.filter((row) => row.startsWith("a")).length, rows.length], [30, 45])
      assert.strictEqual(new Set(rows).size, 35)
      const once = Dataset.mix([{ dataset: a }, { dataset: b }], { repeat: false })
      assert.deepStrictEqual([once.size, new Set(yield* Batches.make(once, { size: 35 }).at(0)).size], [35, 35])
      assert.notStrictEqual(mix.fingerprint, once.fingerprint)
      assert.throws(() => Dataset.mix([{ dataset: a, weight: 1 }, { dataset: b }], { repeat: true }), /b has no weight/)
      assert.throws(() => Dataset.mix([{ dataset: a, weight: 0 }], { repeat: true }), /no source has a weight above 0/)
      assert.throws(() => Dataset.mix([{ dataset: a, weight: -1 }], { repeat: true }), /is -1/)
      assert.throws(() => Dataset.mix([{ dataset: source("d", 0), weight: 1 }], { repeat: true }), /d is empty/)
    })
  )

  it.effect("that are made ahead may be read by several fibers at once", () =>
    Effect.gen(function* () {
      const slow = Dataset.map(Dataset.fromArray(items), "slow", (item) => Effect.as(Effect.yieldNow(), item))
      const ahead = yield* Batches.prefetch(Batches.make(slow, { size: 1 }), 2)
      const read = yield* Effect.forEach([0, 1, 2], ahead.at, { concurrency: "unbounded" })
      assert.deepStrictEqual(read, [[0], [1], [2]])
    }).pipe(Effect.scoped)
  )

  it.effect("are made ahead in the background, each once, until the scope ends", () =>
    Effect.gen(function* () {
      const made: Array<number> = []
      const gate = yield* Effect.makeSemaphore(0)
      const slow = Dataset.map(Dataset.fromArray(items), "slow", (item) =>
        Effect.as(
          Effect.andThen(
            gate.take(1),
            Effect.sync(() => made.push(item))
          ),
          item
        )
      )
      const batches = Batches.make(slow, { size: 1 })
      yield* Effect.gen(function* () {
        const ahead = yield* Batches.prefetch(batches, 2)
        yield* gate.release(3)
        assert.deepStrictEqual(yield* ahead.at(0), [0])
        yield* Effect.yieldNow()
        yield* Effect.repeatN(Effect.yieldNow(), 20)
        assert.deepStrictEqual(made, [0, 1, 2])
        yield* gate.release(1)
        assert.deepStrictEqual(yield* ahead.at(1), [1])
        assert.deepStrictEqual(made.slice(0, 3), [0, 1, 2])
        yield* gate.release(3)
        assert.deepStrictEqual(yield* ahead.at(7), [7])
      }).pipe(Effect.scoped)
      const count = made.length
      yield* gate.release(10)
      yield* Effect.repeatN(Effect.yieldNow(), 20)
      assert.strictEqual(made.length, count)
    })
  )
})
