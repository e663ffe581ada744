/**
 * The `tinker` command as an effect.
 *
 * @since 0.1.0
 */
import type * as CliApp from "@effect/cli/CliApp"
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as commands from "./internal/commands/tinker.ts"
import { MissingCommand } from "./internal/definition/global.ts"
import { checkRepeated } from "./internal/definition/options.ts"
import { UsageError } from "./internal/errors/cliError.ts"
import { explain } from "./internal/terminal/explain.ts"
import * as cliConsole from "./internal/terminal/cliConsole.ts"
import * as Io from "./internal/terminal/io.ts"
import * as logger from "./internal/terminal/logger.ts"
import { version } from "./internal/util/version.ts"

/**
 * Exit codes: 0 on success, 1 after an error, 2 for a wrong command line.
 *
 * @since 0.1.0
 * @category models
 */
export type ExitCode = 0 | 1 | 2

const execute = Command.run(commands.tinker, { name: "tinker", version })

/**
 * Runs a command line, which begins with the paths of the runtime and of the program. It fails only by interruption:
 * errors are reported in one line on standard error.
 *
 * @since 0.1.0
 * @category running
 */
export const run = (argv: ReadonlyArray<string>): Effect.Effect<ExitCode, never, Io.Io | CliApp.CliApp.Environment> =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const base = yield* Effect.console
    const args = argv.slice(2)
    const options = args.slice(0, args.includes("--") ? args.indexOf("--") : undefined)
    const path = commands.pathOf(options)
    const help = [...argv.slice(0, 2), ...path, "--help"]
    // -h and --help may stand anywhere
    const line = options.some((option) => option === "-h" || option === "--help") ? help : argv
    const isScript = options.includes("--completions")
    const unknown = isScript ? undefined : commands.unknownCommand(options)
    const wrong = unknown === undefined ? checkRepeated(options) : new UsageError({ reason: unknown })
    const exit = yield* (wrong ?? execute(line)).pipe(
      Effect.withConsole(
        isScript ? cliConsole.forScripts(base, io) : cliConsole.forHelp(base, io, path, commands.listBelow(path))
      ),
      Effect.provide(logger.layer),
      Effect.exit
    )
    if (Exit.isSuccess(exit)) return 0
    if (Cause.isInterruptedOnly(exit.cause)) return yield* Effect.interrupt
    if (Option.exists(Cause.failureOption(exit.cause), (error) => error instanceof MissingCommand)) {
      const listed = commands.listBelow(path)
      yield* execute(help).pipe(Effect.withConsole(cliConsole.forHelp(base, io, path, listed, io.err)), Effect.ignore)
      return 2
    }
    return yield* explain(exit.cause, { args: options, flags: commands.flagsOf(path) })
  }).pipe(Effect.provide(CliConfig.layer({ isCaseSensitive: true, showBuiltIns: false, showTypes: false })))
