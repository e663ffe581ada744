import * as Simulation from "@effect-tinker/testing/Simulation"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Deferred, Effect, Exit, Fiber, Random, Schedule } from "effect"

const whyOf = (exit: Exit.Exit<unknown, unknown>): string => (Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")

describe("Simulation", () => {
  it.effect("takes no real time for virtual time, and wakes fibers in the order of their timers", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.run(
        Effect.gen(function* () {
          const log: Array<string> = []
          const at = (name: string, millis: number) =>
            Effect.delay(
              Effect.sync(() => log.push(name)),
              millis
            )
          yield* Effect.all([at("c", 86_400_000), at("a", 10), at("b", 20)], { concurrency: "unbounded" })
          return [log, yield* Clock.currentTimeMillis] as const
        })
      )
      assert.deepStrictEqual(report, {
        exit: Exit.succeed<readonly [Array<string>, number]>([["a", "b", "c"], 86_400_000]),
        millis: 86_400_000,
        ended: "done",
        waiting: [],
        left: { fibers: [], timers: 0 }
      })
    })
  )

  it.effect("has the same outcome for the same seed, and shuffles the turns of fibers by the seed", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const log: Array<number> = []
        yield* Effect.forEach(
          [0, 1, 2, 3, 4],
          (n) =>
            Effect.andThen(
              Effect.yieldNow(),
              Effect.sync(() => log.push(n))
            ),
          { concurrency: "unbounded" }
        )
        return [...log, yield* Random.nextInt].join()
      })
      const outcome = (seed: number) =>
        Effect.flatMap(Simulation.run(program, { seed, turns: "shuffled" }), ({ exit }) => exit)
      const all = yield* Effect.forEach([1, 2, 3, 4, 5, 1], outcome)
      assert.strictEqual(all[0], all[5])
      assert.isAbove(new Set(all.map((line) => line.slice(0, 9))).size, 2)
      const fair = yield* Effect.flatMap(Simulation.run(program), ({ exit }) => exit)
      assert.isTrue(fair.startsWith("0,1,2,3,4,"))
    })
  )

  it.effect("reports programs that are stuck, that exceed the limit, and that spin without progress", () =>
    Effect.gen(function* () {
      const stuck = yield* Simulation.run(Effect.flatMap(Deferred.make<void>(), Deferred.await))
      assert.strictEqual(stuck.ended, "stuck")
      const late = yield* Simulation.run(Effect.repeat(Effect.void, Schedule.spaced("1 second")), { limit: "1 minute" })
      assert.strictEqual(late.ended, "late")
      assert.isTrue(Exit.isInterrupted(late.exit))
      assert.deepStrictEqual(late.left, { fibers: [], timers: 0 })
      const spinning = yield* Simulation.run(Effect.forever(Effect.sleep(0)))
      assert.strictEqual(spinning.ended, "spinning")
    })
  )

  it.effect("lets the event loop run, so that a test of a program that hangs ends", () =>
    Effect.gen(function* () {
      const hangs = Effect.withSpan(Effect.forever(Effect.sleep("1 millis")), "awaitResult")
      let hasRun = false
      const timer = setTimeout(() => {
        hasRun = true
      }, 5)
      const report = yield* Simulation.run(hangs, { realLimit: "200 millis" })
      clearTimeout(timer)
      assert.isTrue(hasRun)
      assert.strictEqual(report.ended, "slow")
      assert.match(report.waiting.join(), /in awaitResult/)
      assert.match(whyOf(report.exit), /the program is slow: these fibers wait: #\d+ in awaitResult/)
    })
  )

  it.effect("names what a stuck program waits for", () =>
    Effect.gen(function* () {
      const { exit } = yield* Simulation.run(Effect.withSpan(Effect.never, "joinFuture"))
      assert.match(whyOf(exit), /the program is stuck: these fibers wait: #\d+ in joinFuture/)
    })
  )

  it.effect("has room for very many fibers at one moment, and names a hundred of them", () =>
    Effect.gen(function* () {
      const many = <A>(effect: Effect.Effect<A>, count: number) =>
        Effect.all(
          Array.from({ length: count }, () => effect),
          { concurrency: "unbounded", discard: true }
        )
      const { ended } = yield* Simulation.run(many(Effect.repeatN(Effect.yieldNow(), 8), 8000))
      assert.strictEqual(ended, "done")
      const { exit, waiting } = yield* Simulation.run(many(Effect.never, 300))
      assert.isAbove(waiting.length, 300)
      assert.match(whyOf(exit), /the program is stuck: these fibers wait: (#\d+, ){99}#\d+ and \d+ more/)
      assert.include(whyOf(exit), ` and ${waiting.length - 100} more`)
    })
  )

  it.effect("lists the fibers and timers that outlive the program", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.run(
        Effect.andThen(Effect.forkDaemon(Effect.sleep("1 hour")), Effect.fork(Effect.never))
      )
      assert.strictEqual(report.left.fibers.length, 1)
      assert.strictEqual(report.left.timers, 1)
      const counted = yield* Simulation.run(
        Simulation.counting((left) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.withSpan(Effect.fork(Effect.never), "waiting")
            const before = yield* left
            yield* Fiber.interrupt(fiber)
            return [before.map((line) => line.replace(/#\d+ /, "")), yield* left]
          })
        )
      )
      assert.deepStrictEqual(counted.exit, Exit.succeed([["in waiting"], []]))
    })
  )
})
