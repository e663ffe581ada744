/** Deduplicates concurrent and repeated runs of an effect by key. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * Returns a function that runs an effect once per key, in a fiber of the given scope. Concurrent callers share that run;
 * interrupting one of them does not interrupt it. A success is kept; after a failure the next caller runs the effect
 * again.
 *
 * @internal
 */
export const make = <K, A, E>(scope: Scope.Scope): ((key: K, effect: Effect.Effect<A, E>) => Effect.Effect<A, E>) => {
  const runs = new Map<K, Deferred.Deferred<A, E>>()
  return (key, effect) =>
    Effect.flatMap(Deferred.make<A, E>(), (deferred) => {
      const run = runs.get(key)
      if (run !== undefined) return Deferred.await(run)
      runs.set(key, deferred)
      return Effect.interruptible(effect).pipe(
        Effect.onError(() => Effect.sync(() => runs.delete(key))),
        Effect.intoDeferred(deferred),
        Effect.forkIn(scope),
        Effect.uninterruptible,
        Effect.flatMap(() => Deferred.await(deferred))
      )
    })
}
