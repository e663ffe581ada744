/** Environments of Python for the programs in this folder. */
import * as Command from "@effect/platform/Command"
import * as FileSystem from "@effect/platform/FileSystem"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** A program of an environment. */
export const inEnvironment = (environment: string, name: string) =>
  process.platform === "win32" ? `${environment}/Scripts/${name}.exe` : `${environment}/bin/${name}`

/** Runs a program, and shows what it prints. Succeeds with its exit code. */
export const run = (program: string, ...args: ReadonlyArray<string>) =>
  Command.make(program, ...args).pipe(Command.stdout("inherit"), Command.stderr("inherit"), Command.exitCode)

/** Installs packages into an environment; `what` names them to people. Succeeds with the reason to skip, if there is one. */
export const install = (
  environment: string,
  what: string,
  packages: ReadonlyArray<string>,
  limit: Duration.DurationInput
) =>
  run(inEnvironment(environment, "python"), "-m", "pip", "install", "--quiet", ...packages).pipe(
    Effect.timeoutOption(limit),
    Effect.map((code) => (Option.getOrElse(code, () => 1) === 0 ? undefined : `${what} could not be installed`))
  )

/** Makes an environment with packages. Succeeds with the reason to skip the run, if there is one. */
export const prepare = (
  environment: string,
  what: string,
  packages: ReadonlyArray<string>,
  limit: Duration.DurationInput = "2 minutes"
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const python = inEnvironment(environment, "python")
    const recent = yield* Command.string(
      Command.make("python3", "-c", "import sys; print(sys.version_info >= (3, 11))")
    ).pipe(Effect.orElseSucceed(() => ""))
    if (recent.trim() !== "True") return "Python 3.11 or later was not found"
    if (!(yield* fs.exists(python)) && (yield* run("python3", "-m", "venv", environment)) !== 0) {
      return "no virtual environment could be made"
    }
    return yield* install(environment, what, packages, limit)
  })
