/** The last results by key. Each is computed once, by a fiber of its own: who waits for it may be interrupted. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

/** A failure is not kept. @internal */
export const make = <A, E, R>(
  size: number,
  compute: (key: string) => Effect.Effect<A, E, R>
): Effect.Effect<(key: string) => Effect.Effect<A, E, R>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const fibers = new Map<string, Fiber.RuntimeFiber<A, E>>()
    return (key) =>
      Effect.gen(function* () {
        const known = fibers.get(key)
        if (known !== undefined) return yield* Fiber.join(known)
        const fiber = yield* Effect.forkIn(
          Effect.onError(compute(key), () => Effect.sync(() => fibers.delete(key))),
          scope
        )
        fibers.set(key, fiber)
        for (const oldest of fibers.keys()) if (fibers.size > size) fibers.delete(oldest)
        return yield* Fiber.join(fiber)
      })
  })
