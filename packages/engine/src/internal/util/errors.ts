import * as Engine from "@effect-tinker/server/Engine"

/** What the caller asked for cannot be done. @internal */
export const userError = (reason: string): Engine.EngineError => new Engine.EngineError({ reason, category: "user" })

/** The engine failed at something it should be able to do. @internal */
export const serverError = (reason: string, cause: unknown): Engine.EngineError =>
  new Engine.EngineError({ reason, category: "server", cause })
