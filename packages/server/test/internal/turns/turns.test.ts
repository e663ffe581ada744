import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Engine from "../../../src/Engine.ts"
import { Turns } from "../../../src/internal/turns/turns.ts"

const settle = TestClock.adjust(0)

/** An operation of some parts of 10 tokens and a second each, which logs them. */
const operation = (log: Array<string>, name: string, parts: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    log.push(name)
    const part = Effect.sleep("1 second")
    return parts === 1
      ? part
      : part.pipe(Effect.zipRight(Engine.yieldTurn(10)), Effect.zipRight(operation(log, name, parts - 1)))
  })

const claim = (owner: string, target: string, cost: number) => ({ owner, target, cost })

describe("turns", () => {
  it.scoped("alternate between users, and then between the targets of a user", () =>
    Effect.gen(function* () {
      const turns = new Turns({ concurrency: 1, perUser: 8 })
      const log: Array<string> = []
      const fork = (owner: string, target: string, parts: number) =>
        Effect.fork(turns.run(claim(owner, target, parts * 10), operation(log, `${owner}.${target}`, parts)))
      yield* fork("a", "1", 4)
      yield* fork("a", "2", 4)
      yield* fork("b", "1", 4)
      yield* TestClock.adjust("12 seconds")
      assert.strictEqual(
        log.slice(0, 8).filter((name) => name === "b.1").length,
        4,
        `half of the turns are of b: ${log.join(" ")}`
      )
      const [first, second] = ["a.1", "a.2"].map((name) => log.slice(0, 8).filter((other) => other === name).length)
      assert.deepStrictEqual([first, second], [2, 2])
      assert.strictEqual(log.length, 12)
    })
  )

  it.scoped("are not saved up by a user who does nothing", () =>
    Effect.gen(function* () {
      const turns = new Turns({ concurrency: 1, perUser: 8 })
      const log: Array<string> = []
      const fork = (owner: string, parts: number) =>
        Effect.fork(turns.run(claim(owner, "1", parts * 10), operation(log, owner, parts)))
      yield* fork("a", 100)
      yield* TestClock.adjust("20 seconds")
      yield* fork("b", 20)
      yield* TestClock.adjust("10 seconds")
      assert.approximately(log.slice(-10).filter((owner) => owner === "b").length, 5, 1)
    })
  )

  it.scoped("begin for as many operations of a user as are allowed, whatever their number and their targets", () =>
    Effect.gen(function* () {
      const turns = new Turns({ concurrency: Infinity, perUser: 2 })
      const gate = yield* Deferred.make<void>()
      let begun = 0
      const fork = (owner: string, target: string) =>
        Effect.fork(turns.run({ ...claim(owner, target, 1), onStart: () => void begun++ }, Deferred.await(gate)))
      for (let i = 0; i < 5; i++) yield* fork("a", `${i}`)
      yield* settle
      assert.strictEqual(begun, 2)
      yield* fork("b", "1")
      yield* settle
      assert.strictEqual(begun, 3)
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.strictEqual(begun, 6)
    })
  )

  it.scoped("leave one place for what is short, when a user has many long operations", () =>
    Effect.gen(function* () {
      const turns = new Turns({ concurrency: 2, perUser: 8 })
      const begun: Array<string> = []
      const fork = (target: string, cost: number) =>
        Effect.fork(turns.run({ ...claim("a", target, cost), onStart: () => void begun.push(target) }, Effect.never))
      yield* fork("long", 1e6)
      yield* fork("other", 1e6)
      yield* fork("short", 10)
      yield* settle
      assert.deepStrictEqual(begun, ["long", "short"])
    })
  )

  it.scoped("go on when operations are interrupted that wait, run, or let others have their turn", () =>
    Effect.gen(function* () {
      const turns = new Turns({ concurrency: 1, perUser: 8 })
      const log: Array<string> = []
      const fork = (target: string, parts: number) =>
        Effect.fork(turns.run(claim("a", target, parts * 10), operation(log, target, parts)))
      const running = yield* fork("1", 10)
      const other = yield* fork("2", 10)
      const waiting = yield* fork("3", 1)
      yield* settle
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust("3 seconds")
      assert.include(log, "2")
      assert.notInclude(log, "3")
      yield* Fiber.interrupt(running)
      yield* Fiber.interrupt(other)
      const last = yield* fork("4", 1)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(last)
      assert.strictEqual(turns.waiting, 0)
      assert.strictEqual(turns.remembered, 0)
    })
  )

  it.scoped("forget the targets of a user who is never idle", () =>
    Effect.gen(function* () {
      const turns = new Turns({ concurrency: 2, perUser: 8 })
      const log: Array<string> = []
      yield* Effect.fork(turns.run(claim("a", "long", 1e6), operation(log, "long", 1000)))
      for (let i = 0; i < 1000; i++) yield* turns.run(claim("a", `${i}`, 10), Effect.void)
      assert.isAtMost(turns.remembered, 300)
    })
  )

  it.scoped("are had together by operations of a batch, which count as one", () =>
    Effect.gen(function* () {
      const turns = new Turns({ concurrency: 1, perUser: 1, batchPerUser: 3 })
      const log: Array<string> = []
      const held = new Set<Engine.Turn>()
      const hold = Effect.flatMap(Engine.CurrentTurn, (turn) => {
        held.add(turn)
        return Effect.ensuring(Effect.never, Effect.sync(() => held.delete(turn))) // prettier-ignore
      })
      const batched = (owner: string, i: number) =>
        Effect.fork(turns.run({ ...claim(owner, `sampler ${i}`, 1e6), batched: true }, hold))
      const fibers = yield* Effect.forEach([0, 1, 2, 3], (i) => batched("a", i))
      yield* batched("b", 0)
      yield* settle
      // three of a, and one of b, which all run though one operation may
      assert.strictEqual(held.size, 4)
      const computeTogether = Engine.yieldTurns(Array.from(held, (turn) => [turn, 1000] as const))
      yield* Effect.fork(turns.run(claim("c", "1", 20), operation(log, "c", 2)))
      yield* settle
      assert.deepStrictEqual(log, [])
      const next = yield* Effect.fork(computeTogether)
      yield* settle
      assert.deepStrictEqual(log, ["c"])
      assert.isNull(yield* Fiber.poll(next).pipe(Effect.map((exit) => (exit._tag === "None" ? null : exit))))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(next)
      assert.deepStrictEqual(log, ["c", "c"])
      // the next of a begins when one of them is interrupted, while the batch runs
      yield* Fiber.interrupt(fibers[0]!)
      yield* settle
      assert.strictEqual(held.size, 4)
    })
  )

  it.scoped("of a batch do not wait for one of its operations that was interrupted", () =>
    Effect.gen(function* () {
      const turns = new Turns({ concurrency: 1, perUser: 1, batchPerUser: 8 })
      const held: Array<Engine.Turn> = []
      const hold = Effect.flatMap(Engine.CurrentTurn, (turn) => {
        held.push(turn)
        return Effect.never
      })
      const fork = (target: string) => Effect.fork(turns.run({ ...claim("a", target, 1e6), batched: true }, hold))
      const first = yield* fork("1")
      yield* fork("2")
      yield* settle
      yield* Effect.fork(turns.run(claim("b", "1", 10), Effect.sleep("1 second")))
      const next = yield* Effect.fork(Engine.yieldTurns(held.map((turn) => [turn, 1e5] as const)))
      yield* settle
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(next)
    })
  )
})
