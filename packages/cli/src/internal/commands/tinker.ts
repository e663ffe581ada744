/** All commands together, and the names in a command line that select one. */
import * as Command from "@effect/cli/Command"
import * as HashMap from "effect/HashMap"
import { root } from "../definition/global.ts"
import { auth } from "./auth.ts"
import { billing } from "./billing.ts"
import { chat } from "./chat.ts"
import { checkpoint } from "./checkpoint.ts"
import { doctor } from "./doctor.ts"
import { model } from "./model.ts"
import { run } from "./run.ts"
import { sample } from "./sample.ts"
import { serve } from "./serve.ts"
import { session } from "./session.ts"
import { train } from "./train.ts"
import { version } from "./version.ts"

const commands = [auth, billing, chat, checkpoint, doctor, model, run, sample, serve, session, train, version] as const

/** @internal */
export const tinker = root.pipe(Command.withSubcommands(commands))

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
