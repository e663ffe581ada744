/** The border between functions that throw refusals, and Effects that fail with them. */
import * as Effect from "effect/Effect"
import { RendererError } from "./model.ts"

/** Runs what may refuse. @internal */
export const attempt = <A>(run: () => A): Effect.Effect<A, RendererError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      return error instanceof RendererError ? Effect.fail(error) : Effect.die(error)
    }
  })
