/** The console that `@effect/cli` writes help and completions to. */
import type * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as ansi from "./ansi.ts"
import type * as Io from "./io.ts"

// sentences that @effect/cli adds to every option, and that the usage line already says
const boilerplate =
  /^ +(?:A user-defined piece of text.*|An? (?:integer|floating point number|true or false value)\.|This setting is optional\.|This option may be repeated.*|One of the following: .*)\n(?:\n|$)/gm

/** Help text as the terminal takes it: with the full name of the command, without boilerplate, wrapped. */
const present = (io: Io.Service, commandPrefix: string, styled: string): string => {
  // the usage line of a subcommand starts with the subcommand's name
  const text = styled.replace(/^\$ (?!tinker\b)/m, commandPrefix).replace(boilerplate, "")
  const plain = ansi.strip(text)
  if (io.columns !== undefined && plain.split("\n").some((line) => line.length > io.columns!)) {
    return ansi.wrap(plain, io.columns)
  }
  return io.color ? text : plain
}

/**
 * A console for `@effect/cli`. `path` names the command that the help is about. Errors are dropped: the caller reports
 * them once, in one line.
 * @internal
 */
export const make = (
  base: Console.Console,
  io: Io.Service,
  path: ReadonlyArray<string>,
  write: (text: string) => Effect.Effect<void> = io.out
): Console.Console => {
  const commandPrefix = ["$ tinker", ...path.slice(0, -1), ""].join(" ")
  return {
    ...base,
    log: (...args) => write(`${present(io, commandPrefix, args.join(" ")).trim()}\n`),
    error: () => Effect.void
  }
}
