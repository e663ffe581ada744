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

/** A command in a list of commands. @internal */
export interface Listed {
  readonly name: string
  readonly text: string
}

/** A list of commands has one line for each: 80 columns, less the longest name. */
const summaryWidth = 50

/** What a list says about a command: the first sentence, or its beginning if it is long. */
const summarize = (text: string): string => {
  const [sentence = text] = text.split(/\.(?:\s|$)/)
  const [beginning = sentence] = sentence.split(", ")
  return sentence.length <= summaryWidth ? sentence : beginning
}

const listCommands = (commands: ReadonlyArray<Listed>): string => {
  const nameWidth = Math.max(...commands.map(({ name }) => name.length))
  const lines = commands.map(({ name, text }) => `  ${name.padEnd(nameWidth)}  ${summarize(text)}`)
  return `COMMANDS\n\n${lines.join("\n")}\n\nThe options of a command: tinker <command> --help`
}

/** Formats help: with the full name of the command, without boilerplate, wrapped. */
const presentHelp = (io: Io.Service, commandPrefix: string, commands: ReadonlyArray<Listed>, whole: string): string => {
  const columns = io.columns ?? defaultColumns
  const at = commands.length === 0 ? -1 : ansi.strip(whole).search(/^COMMANDS$/m)
  // the list of the library has the options of all commands in one line each
  const styled = at < 0 ? whole : `${ansi.strip(whole).slice(0, at)}${listCommands(commands)}`
  // the usage line of a subcommand starts with the subcommand's name
  const text = styled.replace(/^\$ (?!tinker\b)/m, commandPrefix).replace(boilerplate, "")
  const plain = ansi.strip(text)
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

/**
 * A console that writes help. `path` names the command that the help is about, and `commands` are those below it.
 * @internal
 */
export const forHelp = (
  base: Console.Console,
  io: Io.Service,
  path: ReadonlyArray<string>,
  commands: ReadonlyArray<Listed>,
  write: (text: string) => Effect.Effect<void> = io.out
): Console.Console => {
  const commandPrefix = ["$ tinker", ...path.slice(0, -1), ""].join(" ")
  return withLog(base, (text) => write(`${presentHelp(io, commandPrefix, commands, text).trim()}\n`))
}
