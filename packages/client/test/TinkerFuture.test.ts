import * as TinkerFuture from "@effect-tinker/client/TinkerFuture"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Equal, Exit, Fiber, FiberRef, Option, Scope } from "effect"
import { failureOf } from "./utils/exits.ts"

/** A future of a result that the test decides, and the scope that it runs in. */
const makeFuture = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const result = yield* Deferred.make<number, string>()
  const seqIds = [3, 4]
  const future = yield* TinkerFuture.make({
    method: "optimStep",
    seqIds: () => seqIds,
    scope,
    run: Deferred.await(result)
  })
  return { future, result, scope, seqIds }
})

const tagOf = <A, E>(exit: Exit.Exit<A, E>) => failureOf(exit)?._tag

describe("TinkerFuture", () => {
  it.effect("is a fiber of the runtime with the operation's name and sequence numbers", () =>
    Effect.gen(function* () {
      const { future, seqIds } = yield* makeFuture
      assert.isTrue(Fiber.isRuntimeFiber(future))
      assert.strictEqual(future.method, "optimStep")
      assert.deepStrictEqual(future.seqIds, [3, 4])
      seqIds.pop()
      assert.deepStrictEqual(future.seqIds, [3], "they are computed on access")
    })
  )

  it.effect("gives its result to every fiber that joins, awaits, polls or yields it", () =>
    Effect.gen(function* () {
      const { future, result } = yield* makeFuture
      // options and exits are iterable, and so all equal for `deepStrictEqual`
      assert.isTrue(Option.isNone(yield* Fiber.poll(future)))
      const other = yield* makeFuture
      const joining = yield* Effect.fork(Effect.all([Fiber.join(future), Fiber.join(other.future)]))
      yield* Deferred.succeed(result, 1)
      yield* Deferred.succeed(other.result, 2)
      assert.deepStrictEqual(yield* Fiber.join(joining), [1, 2])
      assert.strictEqual(yield* future, 1)
      assert.strictEqual(yield* Fiber.join(future), 1)
      assert.isTrue(Equal.equals(yield* Fiber.await(future), Exit.succeed(1)))
      assert.isTrue(Equal.equals(yield* Fiber.poll(future), Option.some(Exit.succeed(1))))
      assert.deepStrictEqual(yield* Fiber.join(Fiber.zip(future, other.future)), [1, 2])
      assert.deepStrictEqual(yield* Fiber.join(Fiber.all([future, other.future])), [1, 2])
    })
  )

  it.effect("fails every fiber that joins it with the operation's error", () =>
    Effect.gen(function* () {
      const { future, result } = yield* makeFuture
      yield* Deferred.fail(result, "no")
      assert.strictEqual(yield* Effect.flip(Fiber.join(future)), "no")
      assert.strictEqual(yield* Effect.flip(Fiber.join(future)), "no")
    })
  )

  it.effect("is not affected when a fiber that joins it is interrupted", () =>
    Effect.gen(function* () {
      const { future, result } = yield* makeFuture
      const joining = yield* Effect.fork(Fiber.join(future))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(joining)
      yield* Deferred.succeed(result, 1)
      assert.strictEqual(yield* Fiber.join(future), 1)
    })
  )

  it.effect("fails with ClientClosed when it is interrupted itself, and interrupts no fiber that joins it", () =>
    Effect.gen(function* () {
      const { future } = yield* makeFuture
      const joining = yield* Effect.fork(Effect.exit(Fiber.join(future)))
      yield* Effect.yieldNow()
      assert.strictEqual(tagOf(yield* Fiber.interrupt(future)), "ClientClosed")
      assert.strictEqual(tagOf(yield* Fiber.join(joining)), "ClientClosed")
    })
  )

  it.effect("fails with ClientClosed when its scope closes, also when that happened before it was made", () =>
    Effect.gen(function* () {
      const { future, scope } = yield* makeFuture
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(tagOf(yield* Fiber.await(future)), "ClientClosed")
      const late = yield* TinkerFuture.make({ method: "forward", seqIds: () => [], scope, run: Effect.never })
      const exit = yield* Fiber.await(late)
      assert.strictEqual(tagOf(exit), "ClientClosed")
      assert.include(failureOf(exit)?.message, "forward")
    })
  )

  it.scoped("leaves the FiberRefs of a fiber that joins it as they are", () =>
    Effect.gen(function* () {
      const ref = yield* FiberRef.make("initial")
      const scope = yield* Effect.scope
      const future = yield* TinkerFuture.make({
        method: "optimStep",
        seqIds: () => [1],
        scope,
        run: FiberRef.set(ref, "changed")
      })
      yield* Fiber.join(future)
      assert.strictEqual(yield* FiberRef.get(ref), "initial")
    })
  )
})
