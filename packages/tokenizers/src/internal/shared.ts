import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"

/**
 * Runs an effect once for each key, in the given scope, however many ask for it: one who stops waiting stops nobody else.
 * What succeeded is kept, what failed is tried again by the next who asks.
 *
 * @internal
 */
export const make = <K, A, E>(scope: Scope.Scope): ((key: K, effect: Effect.Effect<A, E>) => Effect.Effect<A, E>) => {
  const held = new Map<K, Deferred.Deferred<A, E>>()
  return (key, effect) =>
    Effect.suspend(() => {
      const running = held.get(key)
      if (running !== undefined) return Deferred.await(running)
      const deferred = Deferred.unsafeMake<A, E>(FiberId.none)
      held.set(key, deferred)
      return Effect.interruptible(effect).pipe(
        Effect.onError(() => Effect.sync(() => held.delete(key))),
        Effect.intoDeferred(deferred),
        Effect.forkIn(scope),
        Effect.uninterruptible,
        Effect.zipRight(Deferred.await(deferred))
      )
    })
}
