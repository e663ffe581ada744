/** What a page may use depends on how it was loaded. */
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"

/** Fails in a page that was not loaded by https or from this machine: browsers give it no hashes. @internal */
export const requireSecureContext: Effect.Effect<void, Engine.EngineError> = Effect.suspend(() =>
  (globalThis.crypto as Partial<Crypto> | undefined)?.subtle === undefined
    ? Effect.fail(
        new Engine.EngineError({
          reason: "the page has no crypto.subtle: load it by https, or from localhost",
          category: "user"
        })
      )
    : Effect.void
)
