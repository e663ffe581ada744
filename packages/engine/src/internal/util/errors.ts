/** Constructors of the engine's errors. */
import * as Engine from "@effect-tinker/server/Engine"

/** The request is invalid; `reason` says what to change. @internal */
export const userError = (reason: string): Engine.EngineError => new Engine.EngineError({ reason, category: "user" })

/** The request is valid, but the engine failed. @internal */
export const serverError = (reason: string, cause: unknown): Engine.EngineError =>
  new Engine.EngineError({ reason, category: "server", cause })
