/** Runs `TINKER_CREDENTIAL_CMD` once. No error shows the command or what it printed. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as PlatformError from "@effect/platform/Error"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { headerProblem, isKeyOrToken } from "./credential.ts"
import * as jwt from "./jwt.ts"
import * as lease from "./lease.ts"
import type { Known } from "./renewal.ts"

/** @internal */
export const commandPath = "TINKER_CREDENTIAL_CMD"

const timeout = Duration.seconds(60)
const maxBytes = 64 * 1024
// how long an interrupted command may take to end before it is killed
const termination = Duration.seconds(2)
// larger errors of the clock would be noticed elsewhere
const maxClockErrorMillis = 24 * 60 * 60 * 1000

const failed = (reason: string, exitCode?: number): TinkerError.CredentialCommandFailed =>
  new TinkerError.CredentialCommandFailed({
    method: "Credentials",
    path: commandPath,
    reason,
    ...(exitCode === undefined ? {} : { exitCode })
  })

const signals: Record<number, string> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  6: "SIGABRT",
  9: "SIGKILL",
  11: "SIGSEGV",
  13: "SIGPIPE",
  15: "SIGTERM"
}

/** What a shell means by an exit code. */
const describeExit = (code: number): string => {
  if (code === 126) return "exit 126: the command cannot be executed"
  if (code === 127 || code === 9009) return `exit ${code}: no such command`
  if (code > 128 && code <= 192) {
    return `exit ${code}: ended by ${signals[code - 128] ?? `signal ${code - 128}`}`
  }
  return `exit ${code}`
}

/** The message of a platform's error shows the command, which may hold a secret. */
const describePlatformError = (error: PlatformError.PlatformError): string => {
  const signal = /receipt of signal: (SIG\w+)/.exec(error.message)?.[1]
  if (signal !== undefined) return `was ended by ${signal}`
  return `could not be run: ${error._tag === "SystemError" ? error.reason : error._tag}`
}

interface Output {
  readonly text: string
  readonly bytes: number
}

/** Ends a process, also one that ignores SIGTERM. */
const end = (process: CommandExecutor.Process): Effect.Effect<void> =>
  Effect.interruptible(process.kill("SIGTERM")).pipe(
    Effect.timeout(termination),
    Effect.catchAll(() => Effect.timeout(Effect.interruptible(process.kill("SIGKILL")), termination)),
    Effect.ignore
  )

const outputOf = (process: CommandExecutor.Process) =>
  Effect.suspend(() => {
    const decoder = new TextDecoder()
    const start: Output = { text: "", bytes: 0 }
    return Stream.runFoldWhile(
      process.stdout,
      start,
      ({ bytes }) => bytes <= maxBytes,
      (output, chunk) => ({
        text: output.text + decoder.decode(chunk, { stream: true }),
        bytes: output.bytes + chunk.length
      })
    )
  })

/** What the command prints, if it exits with 0. */
const print = (
  executor: CommandExecutor.CommandExecutor,
  command: string
): Effect.Effect<string, TinkerError.CredentialCommandFailed> =>
  Effect.gen(function* () {
    const process = yield* executor.start(
      Command.make(command).pipe(Command.runInShell(true), Command.stderr("inherit"))
    )
    return yield* Effect.gen(function* () {
      const { bytes, text } = yield* outputOf(process)
      if (bytes > maxBytes) return yield* failed(`printed more than ${maxBytes / 1024} KiB: it must print a credential`)
      const code = yield* process.exitCode
      if (code !== 0) return yield* failed(`failed with ${describeExit(code)}`, code)
      return text.trim()
    }).pipe(Effect.onInterrupt(() => end(process)))
  }).pipe(
    Effect.scoped,
    Effect.mapError((error) =>
      error._tag === "CredentialCommandFailed" ? error : failed(describePlatformError(error))
    ),
    Effect.timeoutFail({ duration: timeout, onTimeout: () => failed("did not end within 60 seconds") })
  )

/** What is wrong with the output of a command that succeeded; `undefined` if it is a credential. */
const outputProblem = (text: string): string | undefined => {
  if (text === "") return "printed nothing: it must print a credential"
  const problem = headerProblem(text)?.replace(/^has /, "printed ")
  if (problem !== undefined) return `${problem}: it must print a credential and nothing else`
  return isKeyOrToken(text) ? undefined : 'printed no key of this service: keys start with "tml-", tokens with "eyJ"'
}

/**
 * Why a token that has expired by the clock cannot be used; `undefined` if the clock may be wrong. It is right if the
 * current token is valid by it.
 */
const expiryProblem = (text: string, now: number, { held, rejected }: Known): string | undefined => {
  if (rejected !== undefined && Redacted.value(rejected) === text) return "printed an expired token again"
  const expiry = jwt.expiresAt(text)
  const isClockRight = held !== undefined && now < jwt.expiresAt(Redacted.value(held.value))
  const mayBeValid = !isClockRight && lease.lifetimeOf(text) !== undefined && now - expiry < maxClockErrorMillis
  return mayBeValid ? undefined : "printed an expired token"
}

/** Fetches a credential from the command. @internal */
export const fetch =
  (executor: CommandExecutor.CommandExecutor, command: string) =>
  (known: Known): Effect.Effect<lease.Lease, TinkerError.CredentialCommandFailed> =>
    Effect.gen(function* () {
      const text = yield* print(executor, command)
      const problem = outputProblem(text)
      if (problem !== undefined) return yield* failed(problem)
      const now = yield* Clock.currentTimeMillis
      if (jwt.expiresAt(text) <= now) {
        const problem = expiryProblem(text, now, known)
        if (problem !== undefined) return yield* failed(problem)
        yield* Effect.logWarning(
          `${commandPath} printed a token that has expired by this machine's clock. The service decides whether it has; ` +
            `if it has not, set the clock.`
        )
      }
      return lease.ofCredential(Redacted.make(text), now)
    })
