import * as Context from "effect/Context"

/**
 * An `HttpClient` that has this ends a request by itself after `Timeout`, so that no fiber need watch each of them.
 *
 * @internal
 */
export const enforcesTimeout: unique symbol = Symbol.for("~@effect-tinker/client/enforcesTimeout")

/** Milliseconds until the answer's head, and between any two parts of its body. @internal */
export class Timeout extends Context.Reference<Timeout>()("@effect-tinker/client/transport/Timeout", {
  defaultValue: (): number | undefined => undefined
}) {}
