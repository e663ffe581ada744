import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FastCheck, Fiber, TestClock } from "effect"
import { Budget } from "../../../src/internal/limits/budget.ts"

const use = (budget: Budget, cost: number, millis: number, log: Array<string>, name: string) =>
  Effect.gen(function* () {
    log.push(`+${name}`)
    yield* Effect.sleep(millis)
  }).pipe(Effect.ensuring(Effect.sync(() => log.push(`-${name}`))), budget.withCost(cost))

const step = FastCheck.record({
  cost: FastCheck.integer({ min: 0, max: 30 }),
  millis: FastCheck.integer({ min: 1, max: 20 }),
  start: FastCheck.integer({ min: 0, max: 20 }),
  /** when it is interrupted, if it is still there */
  end: FastCheck.option(FastCheck.integer({ min: 0, max: 60 })),
  ends: FastCheck.constantFrom("success", "failure", "defect")
})

describe("a budget", () => {
  it.scoped("runs a request larger than its capacity alone, and admits in order", () =>
    Effect.gen(function* () {
      const budget = Budget.bytes(10)
      const log: Array<string> = []
      yield* Effect.all(
        [
          use(budget, 4, 10, log, "small"),
          use(budget, 100, 20, log, "large"),
          use(budget, 1, 10, log, "behind"),
          use(budget, 1, 10, log, "last")
        ],
        { concurrency: "unbounded" }
      ).pipe(Effect.fork)
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(log, ["+small", "+large"])
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(log, ["+small", "+large", "-small"])
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(log, ["+small", "+large", "-small", "-large", "+behind", "+last"])
    })
  )

  it.scoped("admits at most `size` requests at once if it counts requests", () =>
    Effect.gen(function* () {
      const budget = Budget.count(2)
      const log: Array<string> = []
      yield* Effect.forEach(["a", "b", "c"], (name) => use(budget, 1, 10, log, name), {
        concurrency: "unbounded"
      }).pipe(Effect.fork)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(log, ["+a", "+b"])
      yield* TestClock.adjust(9)
      assert.deepStrictEqual(log.slice(2).toSorted(), ["+c", "-a", "-b"])
    })
  )

  it.scoped("gets every permit back, and admits in order and never below its bound, for random holders", () =>
    Effect.gen(function* () {
      const cases = FastCheck.sample(FastCheck.array(step, { minLength: 1, maxLength: 12 }), { numRuns: 30, seed: 7 })
      for (const steps of cases) {
        const budget = Budget.bytes(20)
        const admitted: Array<number> = []
        const arrived: Array<number> = []
        const underWay = new Map<number, number>()
        const fibers = yield* Effect.forEach(steps, ({ cost, end, ends, millis, start }, i) =>
          Effect.gen(function* () {
            yield* Effect.sleep(start)
            arrived.push(i)
            yield* Effect.gen(function* () {
              admitted.push(i)
              const before = Array.from(underWay.values()).reduce((sum, cost) => sum + cost, 0)
              assert.isAtMost(before, 20, "nothing is admitted while the balance is below zero")
              underWay.set(i, cost)
              yield* Effect.sleep(millis)
              if (ends === "failure") yield* Effect.fail("no")
              if (ends === "defect") yield* Effect.die("odd")
            }).pipe(Effect.ensuring(Effect.sync(() => underWay.delete(i))), budget.withCost(cost))
          }).pipe((self) => (end === null ? self : Effect.raceFirst(self, Effect.sleep(end))), Effect.fork)
        )
        yield* TestClock.adjust("2 seconds")
        const exits = yield* Effect.forEach(fibers, Fiber.await)
        assert.strictEqual(budget.balance, 20)
        assert.strictEqual(budget.waiting, 0)
        // they were admitted in the order of arrival
        const places = admitted.map((i) => arrived.indexOf(i))
        assert.deepStrictEqual(
          places,
          places.toSorted((a, b) => a - b)
        )
        assert.isTrue(exits.every((exit, i) => Exit.isSuccess(exit) || steps[i]!.ends !== "success"))
      }
    })
  )
})
