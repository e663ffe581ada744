/** Makes the batches of the next steps while those before are trained on. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/**
 * Remembers the batches of the next `ahead` steps, which are made in the background until the scope ends. A step that does
 * not follow the one before begins anew.
 *
 * @internal
 */
export const prefetch = Effect.fnUntraced(function* <A, E, R>(
  at: (step: number) => Effect.Effect<A, E, R>,
  ahead: number
) {
  if (!Number.isInteger(ahead) || ahead < 1) throw new RangeError(`ahead is ${ahead}: give an integer of 1 or more`)
  const scope = yield* Effect.scope
  const context = yield* Effect.context<R>()
  const fibers = new Map<number, Fiber.RuntimeFiber<A, E>>()
  const start = (step: number) =>
    Effect.gen(function* () {
      if (!fibers.has(step)) fibers.set(step, yield* Effect.forkIn(Effect.provide(at(step), context), scope))
    })
  const dropOthers = (step: number) =>
    Effect.forEach(Array.from(fibers), ([other, fiber]) => {
      // a caller may still wait for one of the steps before
      if (Math.abs(other - step) <= ahead) return Effect.void
      fibers.delete(other)
      return Fiber.interrupt(fiber)
    })
  return (step: number): Effect.Effect<A, E> =>
    Effect.gen(function* () {
      yield* dropOthers(step)
      yield* Effect.forEach(
        Array.from({ length: ahead + 1 }, (_, i) => step + i),
        start
      )
      return yield* Fiber.join(fibers.get(step)!)
    })
})
