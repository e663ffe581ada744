/** All commands together, and the names in a command line that select one. */
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as HashMap from "effect/HashMap"
import { type Summary, summaryOf } from "../definition/command.ts"
import { root } from "../definition/global.ts"
import * as ansi from "../terminal/ansi.ts"
import { nearest } from "../text/nearest.ts"
import { auth } from "./auth.ts"
import { billing } from "./billing.ts"
import { chat } from "./chat.ts"
import { checkpoint, exportCommand } from "./checkpoint.ts"
import { doctor } from "./doctor.ts"
import { model } from "./model.ts"
import { report, watch } from "./report.ts"
import { run } from "./run.ts"
import { sample } from "./sample.ts"
import { serve } from "./serve.ts"
import { session } from "./session.ts"
import { init, train } from "./train.ts"
import { version } from "./version.ts"

const commands = [
  auth,
  billing,
  chat,
  checkpoint,
  doctor,
  exportCommand,
  init,
  model,
  report,
  run,
  sample,
  serve,
  session,
  train,
  version,
  watch
] as const

/** @internal */
export const tinker = root.pipe(Command.withSubcommands(commands))

const summaries = commands.map(summaryOf)

/** The commands below a path, as a list of commands shows them; none below a command that is no group. @internal */
export const listBelow = (path: ReadonlyArray<string>): ReadonlyArray<Pick<Summary, "name" | "text">> => {
  if (path.length > 1) return []
  if (path.length === 1) return summaries.find(({ name }) => name === path[0])?.commands ?? []
  return summaries.flatMap(({ commands, name, text }) =>
    commands.length === 0
      ? [{ name, text }]
      : commands.map((command) => ({ name: `${name} ${command.name}`, text: command.text }))
  )
}

/** The words of a command line that are neither options of `tinker` itself nor their values. */
const positional = (args: ReadonlyArray<string>): ReadonlyArray<string> =>
  args.filter((arg, i) => !arg.startsWith("-") && !["-f", "--format"].includes(args[i - 1] ?? ""))

/** What is wrong with the name of a command, if there is none of that name. @internal */
export const unknownCommand = (args: ReadonlyArray<string>): string | undefined => {
  const [first, second] = positional(args)
  if (first === undefined) return undefined
  const group = summaries.find(({ name }) => name === first)
  const choices = (group === undefined ? summaries : group.commands).map(({ name }) => name)
  const word = group === undefined ? first : second
  if (choices.length === 0 || word === undefined || choices.includes(word)) return undefined
  const prefix = group === undefined ? "tinker" : `tinker ${first}`
  const similar = nearest(word, choices)
  return similar === undefined
    ? `There is no command '${prefix} ${word}': there are ${choices.join(", ")}`
    : `There is no command '${prefix} ${word}': did you mean '${prefix} ${similar}'?`
}

/** The options of the command at a path, or of all commands of its group, and those of `tinker` itself. @internal */
export const flagsOf = (path: ReadonlyArray<string>): ReadonlyArray<string> => {
  const command = commands.find((command) => Array.from(Command.getNames(command)).includes(path[0] ?? ""))
  const help =
    command === undefined ? "" : ansi.strip(HelpDoc.toAnsiText(Command.getHelp(command, CliConfig.defaultConfig)))
  const names = Array.from(help.matchAll(/(?<![\w-])--?[a-z][a-z-]*/g), ([name]) => name)
  return [...new Set([...names, "-f", "--format"])]
}

/** The names of a group's commands, by the name of the group; empty for a command that is no group. */
const namesBelow = new Map<string, ReadonlySet<string>>(
  commands.flatMap((command) => {
    const names = Array.from(Command.getNames(command))
    // a command that is no group lists itself
    const below = Array.from(HashMap.keys(Command.getSubcommands(command))).filter((name) => !names.includes(name))
    return names.map((name) => [name, new Set(below)] as const)
  })
)

/** The names in a command line that lead to its command, such as `["run", "list"]`. @internal */
export const pathOf = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const at = args.findIndex((arg) => namesBelow.has(arg))
  if (at < 0) return []
  const name = args[at]!
  const below = namesBelow.get(name)
  const command = args.slice(at + 1).find((arg) => below?.has(arg) === true)
  return command === undefined ? [name] : [name, command]
}
