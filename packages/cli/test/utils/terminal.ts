/** A terminal in memory, for parts of the command that run in the process of the test. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Io from "../../src/internal/terminal/io.ts"

/** A terminal at which a person types these lines. `shown` collects what standard error shows. */
export const makeTerminal = (lines: ReadonlyArray<string> = [], options: Partial<Io.Service> = {}) => {
  const shown: Array<string> = []
  const rest = lines.slice()
  const layer = Layer.succeed(Io.Io, {
    out: () => Effect.void,
    err: (text) => Effect.sync(() => void shown.push(text)),
    outIsTerminal: true,
    errIsTerminal: true,
    inIsTerminal: true,
    columns: 120,
    errColumns: 120,
    color: false,
    redact: () => Effect.void,
    readLine: Effect.sync(() => rest.shift()),
    openPrompt: Effect.succeed((prompt: string) =>
      Effect.sync(() => {
        shown.push(prompt)
        return rest.shift()
      })
    ),
    onInterrupt: () => Effect.void,
    readSecret: Effect.sync(() => rest.shift()),
    hostname: "test",
    ...options
  })
  return { layer, shown }
}
