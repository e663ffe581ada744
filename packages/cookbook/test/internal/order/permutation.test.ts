import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "fast-check"
import { permutation } from "../../../src/internal/order/permutation.ts"

const order = (size: number, seed: number, epoch = 0, worker = 0) =>
  Effect.map(permutation(size, { seed, epoch, worker }), (found) => Array.from(found))

describe("permutation", () => {
  it.effect("has every position once, and is the same for the same key", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(FastCheck.nat(300), FastCheck.maxSafeInteger(), FastCheck.nat(5), (size, seed, epoch) =>
          Effect.gen(function* () {
            const found = yield* order(size, seed, epoch)
            assert.deepStrictEqual(
              found.toSorted((a, b) => a - b),
              Array.from({ length: size }, (_, i) => i)
            )
            assert.deepStrictEqual(yield* order(size, seed, epoch), found)
            if (size < 30) return
            assert.notDeepEqual(yield* order(size, seed, epoch + 1), found)
            assert.notDeepEqual(yield* order(size, seed, epoch, 1), found)
          }).pipe(Effect.runPromise)
        )
      )
    )
  )

  it.effect("is any of the permutations about as often", () =>
    Effect.gen(function* () {
      const counts = new Map<string, number>()
      for (let seed = 0; seed < 12_000; seed++) {
        const key = (yield* order(4, seed)).join()
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
      assert.strictEqual(counts.size, 24)
      for (const count of counts.values()) assert.isBelow(Math.abs(count - 500), 6 * Math.sqrt(500))
    })
  )

  it.effect("of a million positions lets timers run meanwhile", () =>
    Effect.gen(function* () {
      let ticks = 0
      const timer = setInterval(() => ticks++, 1)
      const found = yield* order(1_000_000, 1)
      clearInterval(timer)
      assert.strictEqual(found.length, 1_000_000)
      assert.isAbove(ticks, 3)
    })
  )
})
