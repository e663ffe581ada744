/** The console that `@effect/cli` writes help and completions to. */
import type * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as ansi from "./ansi.ts"
import type * as Io from "./io.ts"

// sentences that @effect/cli adds to every option, although the usage line already has them
const boilerplate =
  /^ +(?:A user-defined piece of text.*|An? (?:integer|floating point number|true or false value)\.|This setting is optional\.|This option may be repeated.*|One of the following: .*)\n(?:\n|$)/gm

/** The width of help if neither a terminal nor `COLUMNS` sets it. */
const defaultColumns = 80

/** Formats help: with the full name of the command, without boilerplate, wrapped. */
const presentHelp = (io: Io.Service, commandPrefix: string, styled: string): string => {
  // the usage line of a subcommand starts with the subcommand's name
  const text = styled.replace(/^\$ (?!tinker\b)/m, commandPrefix).replace(boilerplate, "")
  const plain = ansi.strip(text)
  const columns = io.columns ?? defaultColumns
  if (plain.split("\n").some((line) => line.length > columns)) return ansi.wrap(plain, columns)
  return io.color ? text : plain
}

/** Errors are dropped: the caller reports them once, in one line. */
const withLog = (base: Console.Console, log: (text: string) => Effect.Effect<void>): Console.Console => ({
  ...base,
  log: (...args) => log(args.join(" ")),
  error: () => Effect.void
})

/** A console that writes completion scripts unchanged. @internal */
export const forScripts = (base: Console.Console, io: Io.Service): Console.Console =>
  withLog(base, (text) => io.out(`${ansi.strip(text).trim()}\n`))

/** A console that writes help. `path` names the command that the help is about. @internal */
export const forHelp = (
  base: Console.Console,
  io: Io.Service,
  path: ReadonlyArray<string>,
  write: (text: string) => Effect.Effect<void> = io.out
): Console.Console => {
  const commandPrefix = ["$ tinker", ...path.slice(0, -1), ""].join(" ")
  return withLog(base, (text) => write(`${presentHelp(io, commandPrefix, text).trim()}\n`))
}
