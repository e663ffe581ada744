import * as Effect from "effect/Effect"
import * as Io from "./io.ts"
import * as table from "./table.ts"

/** @internal */
export type Format = "table" | "json"

/** One JSON document. @internal */
export const json = (value: unknown): Effect.Effect<void, never, Io.Io> =>
  Effect.flatMap(Io.Io, ({ out }) => out(`${JSON.stringify(value, null, 2)}\n`))

/** A result in the form that was asked for. @internal */
export const print = (
  format: Format,
  result: { readonly json: unknown; readonly table: table.Table }
): Effect.Effect<void, never, Io.Io> =>
  format === "json"
    ? json(result.json)
    : Effect.flatMap(Io.Io, ({ color, columns, out }) => out(`${table.render(result.table, { color, columns })}\n`))

/** A result that is a line of text, unless JSON was asked for. @internal */
export const text = (
  format: Format,
  result: { readonly json: unknown; readonly text: string }
): Effect.Effect<void, never, Io.Io> =>
  format === "json" ? json(result.json) : Effect.flatMap(Io.Io, ({ out }) => out(result.text))

/** A note for people; scripts that ask for JSON do without. @internal */
export const note = (format: Format, line: string): Effect.Effect<void, never, Io.Io> =>
  format === "json" ? Effect.void : Effect.flatMap(Io.Io, ({ err }) => err(`${line}\n`))
