import * as Step from "@effect-tinker/client/Step"
import * as TinkerFuture from "@effect-tinker/client/TinkerFuture"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, TestClock } from "effect"

describe("Step", () => {
  it.scoped("is submitted once, however often its result is waited for", () =>
    Effect.gen(function* () {
      let submissions = 0
      const result = yield* Deferred.make<string>()
      const step = yield* Step.make(
        Effect.sync(() => {
          submissions++
          return Deferred.await(result)
        })
      )
      assert.strictEqual(submissions, 0)
      const retried = yield* Effect.fork(step.pipe(Effect.timeout("1 second"), Effect.retry({ times: 3 })))
      yield* TestClock.adjust("2500 millis")
      yield* Deferred.succeed(result, "done")
      assert.strictEqual(yield* Fiber.join(retried), "done")
      assert.strictEqual(yield* step, "done")
      assert.strictEqual(submissions, 1)
    })
  )

  it.scoped("goes on when a wait for its future ends, and ends for all when that is abandoned", () =>
    Effect.gen(function* () {
      const future = yield* TinkerFuture.make<string, never>({
        method: "optimStep",
        seqIds: () => [1],
        scope: yield* Effect.scope,
        run: Effect.never
      })
      const waits = yield* Effect.fork(Fiber.join(future))
      const other = yield* Effect.fork(Effect.either(Fiber.join(future)))
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(waits)
      assert.isTrue((yield* Fiber.poll(future))._tag === "None")
      yield* TinkerFuture.abandon(future)
      const ended = yield* Fiber.join(other)
      assert.strictEqual(ended._tag === "Left" && ended.left._tag, "ClientClosed")
    })
  )
})
