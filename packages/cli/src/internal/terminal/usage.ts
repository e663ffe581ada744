/** Messages about a wrong command line that name the option at fault, which those of the parser do not. */
import { nearest } from "../text/nearest.ts"

/** The options that take one of several words, with those; the first is the default. A command may follow the name. @internal */
export const choices = {
  format: ["table", "json"],
  "format export": ["peft", "safetensors", "gguf"],
  type: ["f16", "q8_0"],
  schedule: ["linear", "cosine", "constant"],
  "too-long": ["fail", "truncate", "skip"],
  "train-on": [
    "all_assistant_messages",
    "last_assistant_message",
    "last_assistant_turn",
    "all_messages",
    "all_tokens",
    "all_user_and_system_messages",
    "customized"
  ]
} as const

/** @internal */
export type ChoiceName = keyof typeof choices

/** The option that has this value in a command line. */
const optionOf = (args: ReadonlyArray<string>, value: string): string | undefined => {
  const at = args.findIndex((arg, i) => arg === value && args[i - 1]?.startsWith("-") === true)
  if (at > 0) return args[at - 1]
  return args.find((arg) => arg.startsWith("--") && arg.endsWith(`=${value}`))?.split("=")[0]
}

const kinds: { readonly [name: string]: string } = { integer: "an integer", float: "a number" }

/** A value of the wrong type. */
const wrongValue = (message: string, args: ReadonlyArray<string>): string | undefined => {
  const [, value, kind = ""] = /^'(.*)' is not an? (\w+)$/s.exec(message) ?? []
  const option = value === undefined ? undefined : optionOf(args, value)
  return option === undefined ? undefined : `${option} is '${value}': give ${kinds[kind] ?? `a ${kind}`}`
}

/** A value that is none of the choices. */
const wrongChoice = (message: string, args: ReadonlyArray<string>): string | undefined => {
  const [, expected] = /^Expected one of the following cases: (.*)$/.exec(message) ?? []
  const option = Object.entries(choices)
    .find(([, words]) => words.join(", ") === expected)?.[0]
    .split(" ")[0]
  if (option === undefined) return undefined
  const isOption = (arg: string) => arg === `--${option}` || (option === "format" && arg === "-f")
  const at = args.findIndex((arg) => isOption(arg.split("=")[0]!))
  if (at < 0) return undefined
  const [name = "", given = args[at + 1]] = args[at]!.split("=")
  return `${name} is '${given}': give one of ${expected}`
}

/** An option that the command does not have, or one without its value. The parser may name what follows it. */
const unknownOption = (
  message: string,
  args: ReadonlyArray<string>,
  flags: ReadonlyArray<string>
): string | undefined => {
  const [, argument] = /^Received unknown argument: '(.*)'$/s.exec(message) ?? []
  if (argument === undefined) return undefined
  const options = args.filter((arg) => /^--?[a-z]/i.test(arg)).map((arg) => arg.split("=")[0]!)
  const name = options.find((option) => !flags.includes(option)) ?? argument
  if (!name.startsWith("-")) return undefined
  if (flags.includes(name)) return `${name} needs a value, and stands before the arguments of the command`
  const similar = nearest(name, flags)
  return similar === undefined ? undefined : `There is no option ${name}: did you mean ${similar}?`
}

/** The message with the option at fault. `flags` are the options of the command. @internal */
export const nameOption = (message: string, args: ReadonlyArray<string>, flags: ReadonlyArray<string>): string =>
  wrongValue(message, args) ?? wrongChoice(message, args) ?? unknownOption(message, args, flags) ?? message
