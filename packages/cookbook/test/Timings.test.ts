import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as Timings from "../src/Timings.ts"

describe("Timings", () => {
  it.effect("sum the durations of effects by name, including failed effects and layers", () =>
    Effect.gen(function* () {
      const timings = yield* Timings.Timings
      const wait = TestClock.adjust("1 seconds")
      yield* wait.pipe(timings.time("a"))
      yield* Effect.exit(Effect.andThen(wait, Effect.fail("no")).pipe(timings.time("b")))
      yield* wait.pipe(timings.time("a"))
      yield* Effect.scoped(Layer.build(Layer.effectDiscard(wait).pipe(Timings.timeLayer("layer"))))
      yield* wait
      assert.deepStrictEqual(yield* timings.entries, [
        { name: "a", count: 2, seconds: 2 },
        { name: "b", count: 1, seconds: 1 },
        { name: "layer", count: 1, seconds: 1 }
      ])
      assert.deepStrictEqual((yield* Timings.table(timings)).split("\n"), [
        "a                  2.00 s  40 %  2 ×",
        "b                  1.00 s  20 %  1 ×",
        "layer              1.00 s  20 %  1 ×",
        "everything else    1.00 s  20 %",
        "total              5.00 s 100 %"
      ])
    }).pipe(Effect.provide(Timings.layer))
  )
})
