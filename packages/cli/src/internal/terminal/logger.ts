/** The logger of the command: warnings and errors of the libraries, one line each, on standard error. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as runtime from "../effect/runtime.ts"
import { clean } from "../text/clean.ts"
import * as Io from "./io.ts"

/** A log entry in one line, such as `warning: the service is slow`. @internal */
export const oneLine = ({ logLevel, message }: Logger.Logger.Options<unknown>): string => {
  const text = (Array.isArray(message) ? message : [message])
    .map(String)
    .join(" ")
    .replace(/\s*\n\s*/g, " ")
  return `${logLevel.label.toLowerCase()}: ${clean(text)}`
}

/** @internal */
export const layer: Layer.Layer<never, never, Io.Io> = Layer.merge(
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const io = yield* Io.Io
      const fork = yield* runtime.makeFork
      return Logger.replace(
        Logger.defaultLogger,
        Logger.make((options) => fork(io.err(`${oneLine(options)}\n`)))
      )
    })
  ),
  Logger.minimumLogLevel(LogLevel.Warning)
)
