/**
 * The `tinker` command as an effect.
 *
 * @since 0.1.0
 */
import type * as CliApp from "@effect/cli/CliApp"
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Cause from "effect/Cause"
import type * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as ansi from "./internal/ansi.ts"
import { UsageError } from "./internal/cliError.ts"
import * as commands from "./internal/commands.ts"
import * as Io from "./internal/io.ts"
import { version } from "./internal/version.ts"

/**
 * Exit codes: 0 when all went well, 1 after an error, 2 for a wrong command line.
 *
 * @since 0.1.0
 * @category models
 */
export type ExitCode = 0 | 1 | 2

const execute = Command.run(commands.tinker, { name: "tinker", version })

// what the library says of every option; the usage line says it already
const selfEvident =
  /^ +(?:A user-defined piece of text.*|An? (?:integer|floating point number|true or false value)\.|This setting is optional\.|This option may be repeated.*|One of the following: .*)\n(?:\n|$)/gm

// help, completions and the like are results; what is wrong with a command line is said once, by us
const consoleOf = (
  base: Console.Console,
  io: Io.Service,
  path: ReadonlyArray<string>,
  write: (text: string) => Effect.Effect<void> = io.out
): Console.Console => {
  const before = ["$ tinker", ...path.slice(0, -1), ""].join(" ")
  const shown = (styled: string) => {
    // the usage of a command below begins with its own name
    const text = styled.replace(/^\$ (?!tinker\b)/m, before).replace(selfEvident, "")
    const plain = ansi.strip(text)
    if (io.columns !== undefined && plain.split("\n").some((line) => line.length > io.columns!)) {
      return ansi.wrap(plain, io.columns)
    }
    return io.color ? text : plain
  }
  return {
    ...base,
    log: (...args) => write(`${shown(args.join(" ")).trim()}\n`),
    error: () => Effect.void
  }
}

// what the libraries have to say, one line each
const loggerOf = (io: Io.Service, fork: (effect: Effect.Effect<void>) => void) =>
  Logger.make(({ logLevel, message }) => {
    const text = (Array.isArray(message) ? message : [message])
      .map(String)
      .join(" ")
      .replace(/\s*\n\s*/g, " ")
    fork(io.err(`${logLevel.label.toLowerCase()}: ${text}\n`))
  })

const usage = (text: string) => `${ansi.strip(text).trim().replace(/\s+/g, " ")} (tinker --help says what there is)`

const explain = Effect.fnUntraced(function* (cause: Cause.Cause<unknown>) {
  const io = yield* Io.Io
  const say = (text: string) => io.err(`Error: ${text}\n`)
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  if (ValidationError.isValidationError(failure)) {
    yield* say(usage(HelpDoc.toAnsiText(failure.error)))
    return 2 as const
  }
  if (failure instanceof UsageError) {
    yield* say(usage(failure.message))
    return 2 as const
  }
  const { describe } = yield* Effect.promise(() => import("./internal/failure.ts"))
  if (failure !== undefined) yield* say(describe(failure))
  else {
    const [defect] = Array.from(Cause.defects(cause))
    yield* say(`Unexpected error occurred: ${describe(defect)}`)
    // a trace is for who develops
    if (io.errIsTerminal) yield* io.err(`${Cause.pretty(cause)}\n`)
  }
  return 1 as const
})

/**
 * Runs a command line, which begins with the paths of the runtime and of the program. Nothing but interruption gets out:
 * errors are one line on standard error.
 *
 * @since 0.1.0
 * @category running
 */
export const run = (argv: ReadonlyArray<string>): Effect.Effect<ExitCode, never, Io.Io | CliApp.CliApp.Environment> =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const runtime = yield* Effect.runtime()
    const fork = Runtime.runFork(runtime)
    const console = yield* Effect.console
    const args = argv.slice(2)
    const options = args.slice(0, args.includes("--") ? args.indexOf("--") : undefined)
    const path = commands.pathOf(options)
    const help = [...argv.slice(0, 2), ...path, "--help"]
    // wherever it stands
    const line = options.some((option) => option === "-h" || option === "--help") ? help : argv
    const exit = yield* execute(line).pipe(
      Effect.withConsole(consoleOf(console, io, path)),
      Effect.provide(Logger.replace(Logger.defaultLogger, loggerOf(io, fork))),
      Logger.withMinimumLogLevel(LogLevel.Warning),
      Effect.exit
    )
    if (Exit.isSuccess(exit)) return 0
    if (Cause.isInterruptedOnly(exit.cause)) return yield* Effect.interrupt
    if (Option.exists(Cause.failureOption(exit.cause), (error) => error instanceof commands.MissingCommand)) {
      yield* execute(help).pipe(Effect.withConsole(consoleOf(console, io, path, io.err)), Effect.ignore)
      return 2
    }
    return yield* explain(exit.cause)
  }).pipe(Effect.provide(CliConfig.layer({ isCaseSensitive: true, showBuiltIns: false, showTypes: false })))
