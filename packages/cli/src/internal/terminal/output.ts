/** Prints the result of a command as a table or as JSON. */
import * as Effect from "effect/Effect"
import { clean, cleanJson } from "../text/clean.ts"
import * as Io from "./io.ts"
import * as table from "./table.ts"

/** @internal */
export type Format = "table" | "json"

/** Prints a JSON document. @internal */
export const json = (value: unknown): Effect.Effect<void, never, Io.Io> =>
  Effect.flatMap(Io.Io, ({ out }) => out(`${cleanJson(JSON.stringify(value, null, 2))}\n`))

/** Prints a result in the requested format. @internal */
export const print = (
  format: Format,
  result: { readonly json: unknown; readonly table: table.Table }
): Effect.Effect<void, never, Io.Io> =>
  format === "json"
    ? json(result.json)
    : Effect.flatMap(Io.Io, ({ color, columns, out }) => out(`${table.render(result.table, { color, columns })}\n`))

/** Prints a result as text, or as JSON if requested. @internal */
export const text = (
  format: Format,
  result: { readonly json: unknown; readonly text: string }
): Effect.Effect<void, never, Io.Io> =>
  format === "json"
    ? json(result.json)
    : Effect.flatMap(Io.Io, ({ out }) => out(clean(result.text, { keepLines: true })))

/** Prints a note on standard error, unless the output is JSON. @internal */
export const note = (format: Format, line: string): Effect.Effect<void, never, Io.Io> =>
  format === "json" ? Effect.void : Effect.flatMap(Io.Io, ({ err }) => err(`${clean(line, { keepLines: true })}\n`))
