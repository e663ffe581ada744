/** Keeps what is logged. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

export const make: Effect.Effect<{
  readonly layer: Layer.Layer<never>
  readonly messages: Effect.Effect<ReadonlyArray<string>>
}> = Effect.sync(() => {
  const messages: Array<string> = []
  const logger = Logger.make(({ message }) => void messages.push(String(message)))
  return {
    layer: Logger.replace(Logger.defaultLogger, logger) as Layer.Layer<never>,
    messages: Effect.sync(() => messages.slice())
  }
})
