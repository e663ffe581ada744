import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { Deadlines } from "../../../src/internal/effect/deadlines.ts"
import { withCaller } from "../../../src/internal/effect/runtime.ts"

describe("deadlines", () => {
  it.effect("pass on time and in order of time, whatever the order in which they were added", () =>
    withCaller((caller) =>
      Effect.gen(function* () {
        const deadlines = new Deadlines()
        const passed: Array<number> = []
        for (const millis of [300, 100, 200, 100]) deadlines.add(caller, millis, () => void passed.push(millis))
        yield* TestClock.adjust(99)
        assert.deepStrictEqual(passed, [])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(passed, [100, 100])
        yield* TestClock.adjust(50)
        deadlines.add(caller, 100, () => void passed.push(250))
        yield* TestClock.adjust(100)
        assert.deepStrictEqual(passed, [100, 100, 200, 250])
        yield* TestClock.adjust(1000)
        assert.deepStrictEqual(passed, [100, 100, 200, 250, 300])
      })
    )
  )

  it.effect("do not pass once they are released, and do not delay the others", () =>
    withCaller((caller) =>
      Effect.gen(function* () {
        const deadlines = new Deadlines()
        const passed: Array<string> = []
        const first = deadlines.add(caller, 100, () => void passed.push("first"))
        deadlines.add(caller, 200, () => void passed.push("second"))
        first.release()
        first.release()
        yield* TestClock.adjust(200)
        assert.deepStrictEqual(passed, ["second"])
        deadlines.add(caller, 100, () => void passed.push("third"))
        yield* TestClock.adjust(100)
        assert.deepStrictEqual(passed, ["second", "third"])
      })
    )
  )

  it.effect("calls back once for a timeout that no timer measures exactly", () =>
    Effect.gen(function* () {
      const deadlines = new Deadlines()
      let calls = 0
      yield* withCaller((caller) => Effect.sync(() => deadlines.add(caller, 1000.0000003, () => void calls++)))
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(calls, 0)
      yield* TestClock.adjust("2 millis")
      assert.strictEqual(calls, 1)
    })
  )
})
