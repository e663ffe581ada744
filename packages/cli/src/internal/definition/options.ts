/** Short constructors for options and arguments with a description. */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import { type ChoiceName, choices } from "../terminal/usage.ts"
import { UsageError } from "../errors/cliError.ts"

/** @internal */
export const text = (name: string, description: string) => Options.text(name).pipe(Options.withDescription(description))

/** @internal */
export const optionalText = (name: string, description: string) => text(name, description).pipe(Options.optional)

const repeatedNames = [
  "allow-origin",
  "allow-pattern",
  "ignore-pattern",
  "key",
  "mix",
  "model-dir",
  "sample-prompt",
  "stop"
] as const

/** A text option that can be given several times. @internal */
export const repeatedText = (name: (typeof repeatedNames)[number], description: string) =>
  text(name, `${description}; can be repeated`).pipe(Options.repeated)

/**
 * The error of a repeated option with an empty value, if there is one. The parser drops such values in silence, so that
 * an unset variable in `--key "$KEY"` would start a service without API keys.
 *
 * @internal
 */
export const checkRepeated = (args: ReadonlyArray<string>): UsageError | undefined => {
  const name = repeatedNames.find((name) =>
    args.some((arg, i) => arg === `--${name}=` || (arg === `--${name}` && args[i + 1] === ""))
  )
  return name === undefined ? undefined : new UsageError({ reason: `Invalid value for --${name}: it is empty` })
}

/** @internal */
export const flag = (name: string, description: string) =>
  Options.boolean(name).pipe(Options.withDescription(description))

/** One of several words, of which the first is the default. @internal */
export const choice = <Name extends ChoiceName>(name: Name, description: string) => {
  const words: ReadonlyArray<(typeof choices)[Name][number]> = choices[name]
  return Options.choice(name.split(" ")[0]!, words as [(typeof choices)[Name][number]]).pipe(
    Options.withDescription(`${description} (default: ${words[0]})`),
    Options.withDefault(words[0]!)
  )
}

/** One of several words, or none. @internal */
export const optionalChoice = <Name extends ChoiceName>(name: Name, description: string) => {
  const words: ReadonlyArray<(typeof choices)[Name][number]> = choices[name]
  return Options.choice(name, words as [(typeof choices)[Name][number]]).pipe(
    Options.withDescription(description),
    Options.optional
  )
}

/** @internal */
export const argument = (name: string, description: string) =>
  Args.text({ name }).pipe(Args.withDescription(description))

/** A number with a default, which the description mentions. @internal */
export const number = (name: string, fallback: number, description: string) =>
  Options.float(name).pipe(
    Options.withDescription(`${description} (default: ${fallback})`),
    Options.withDefault(fallback)
  )

/** An integer with a default, which the description mentions. @internal */
export const integer = (name: string, fallback: number, description: string) =>
  Options.integer(name).pipe(
    Options.withDescription(`${description} (default: ${fallback})`),
    Options.withDefault(fallback)
  )

/** `--limit` of a command that lists something. @internal */
export const limit = (what: string) =>
  Options.integer("limit").pipe(
    Options.withDefault(20),
    Options.withDescription(`Maximum number of ${what} (default: 20, use --limit=0 for all)`)
  )
