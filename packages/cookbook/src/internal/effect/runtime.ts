/** Runs effects for libraries that take promises. Effect 4 has this in another form. */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"

/** Runs effects as promises, which reject with the error itself. @internal */
export interface RunPromise {
  <A, E>(effect: Effect.Effect<A, E>): Promise<A>
}

/** @internal */
export const makeRunPromise: Effect.Effect<RunPromise> = Effect.map(
  Effect.runtime<never>(),
  (runtime): RunPromise =>
    async (effect) => {
      const result = await Runtime.runPromise(runtime)(Effect.either(effect))
      if (result._tag === "Left") throw result.left
      return result.right
    }
)
