/** Reports why a command failed, in one line, and chooses the exit code. */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ansi from "./ansi.ts"
import { clean } from "../text/clean.ts"
import * as Io from "./io.ts"
import { nameOption } from "./usage.ts"
import { UsageError } from "../errors/cliError.ts"

/** The command line that failed. @internal */
export interface CommandLine {
  readonly args: ReadonlyArray<string>
  /** the options of its command, such as `--rank` */
  readonly flags: ReadonlyArray<string>
}

/** The message of a usage error, or undefined if the command line was right. */
const usageMessage = (error: unknown, { args, flags }: CommandLine): string | undefined => {
  const text = ValidationError.isValidationError(error)
    ? HelpDoc.toAnsiText(error.error)
    : error instanceof UsageError
      ? error.message
      : undefined
  if (text === undefined) return undefined
  return clean(nameOption(ansi.strip(text).trim().replace(/\s+/g, " "), args, flags))
}

/** Writes the error to standard error. Succeeds with the exit code: 2 for usage errors, 1 for all others. @internal */
export const explain = Effect.fnUntraced(function* (cause: Cause.Cause<unknown>, line: CommandLine) {
  const io = yield* Io.Io
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  const usage = usageMessage(failure, line)
  if (usage !== undefined) {
    yield* io.err(`Error: ${usage} (see tinker --help)\n`)
    return 2 as const
  }
  const { describe } = yield* Effect.promise(() => import("../errors/describe.ts"))
  if (failure !== undefined) yield* io.err(`Error: ${describe(failure)}\n`)
  else {
    const [defect] = Array.from(Cause.defects(cause))
    yield* io.err(`Error: Unexpected error occurred: ${describe(defect)}\n`)
    // a stack trace is of use to a developer at a terminal only
    if (io.errIsTerminal) yield* io.err(`${clean(Cause.pretty(cause), { keepLines: true })}\n`)
  }
  return 1 as const
})
