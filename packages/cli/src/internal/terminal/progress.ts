/** A progress bar on standard error. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { clean } from "../text/clean.ts"
import * as Io from "./io.ts"
import type * as output from "./output.ts"

/** @internal */
export interface Progress {
  readonly update: (done: number, total?: number | undefined, label?: string | undefined) => Effect.Effect<void>
}

const redrawMillis = 100
const clearLine = "\r\u001b[2K"

/** One line of at most `columns - 1` characters: the label, a bar if there is a total and enough space, the numbers. */
const draw = (options: {
  readonly columns: number
  readonly label: string
  readonly done: number
  readonly total: number | undefined
  readonly show: (value: number) => string
}): string => {
  const { columns, done, label, show, total } = options
  const numbers = total === undefined || total === 0 ? show(done) : `${show(done)}/${show(total)}`
  const space = columns - 3 - numbers.length - label.length
  const width = total === undefined || total === 0 || space < 6 ? 0 : Math.min(24, space)
  const full = total === undefined ? 0 : Math.min(width, Math.round((done / total) * width))
  const bar = width === 0 ? "" : `${"█".repeat(full)}${"░".repeat(width - full)} `
  return `${label} ${bar}${numbers}`.slice(0, columns - 1)
}

/**
 * A bar that is redrawn at most ten times a second, and removed when the scope closes. It does nothing where standard
 * error is no terminal, or the output is JSON.
 * @internal
 */
export const make = (
  format: output.Format,
  label: string,
  total: number | undefined,
  show: (value: number) => string = String
): Effect.Effect<Progress, never, Io.Io | Scope.Scope> =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    if (!io.errIsTerminal || format === "json") return { update: () => Effect.void }
    let drawnAt = Number.NEGATIVE_INFINITY
    yield* Effect.addFinalizer(() => (drawnAt > 0 ? io.err(clearLine) : Effect.void))
    return {
      update: (done, newTotal = total, newLabel = label) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          if (now - drawnAt < redrawMillis) return Effect.void
          drawnAt = now
          return io.err(
            clearLine + draw({ columns: io.errColumns, label: clean(newLabel), done, total: newTotal, show })
          )
        })
    }
  })
