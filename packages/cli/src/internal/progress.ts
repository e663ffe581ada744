import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Io from "./io.ts"
import type * as output from "./output.ts"

/** @internal */
export interface Progress {
  /** So much is done. */
  readonly at: (done: number, total?: number | undefined, label?: string | undefined) => Effect.Effect<void>
}

const everyMillis = 100
const lineStart = "\r\u001b[2K"

/**
 * A bar on standard error, redrawn at most ten times a second, and taken away when the scope closes. Nothing where that is
 * no terminal, or JSON is asked for.
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
    if (!io.errIsTerminal || format === "json") return { at: () => Effect.void }
    let drawn = Number.NEGATIVE_INFINITY
    yield* Effect.addFinalizer(() => (drawn > 0 ? io.err(lineStart) : Effect.void))
    return {
      at: (done, of = total, name = label) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          if (now - drawn < everyMillis) return Effect.void
          drawn = now
          const facts = of === undefined || of === 0 ? show(done) : `${show(done)}/${show(of)}`
          const room = io.errColumns - 3 - facts.length - name.length
          const width = of === undefined || of === 0 || room < 6 ? 0 : Math.min(24, room)
          const full = of === undefined ? 0 : Math.min(width, Math.round((done / of) * width))
          const bar = width === 0 ? "" : `${"█".repeat(full)}${"░".repeat(width - full)} `
          return io.err(lineStart + `${name} ${bar}${facts}`.slice(0, io.errColumns - 1))
        })
    }
  })
