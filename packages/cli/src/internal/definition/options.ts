/** Short constructors for options and arguments with a description. */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"

/** @internal */
export const text = (name: string, description: string) => Options.text(name).pipe(Options.withDescription(description))

/** @internal */
export const optionalText = (name: string, description: string) => text(name, description).pipe(Options.optional)

/** @internal */
export const flag = (name: string, description: string) =>
  Options.boolean(name).pipe(Options.withDescription(description))

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
