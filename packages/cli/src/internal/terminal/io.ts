/** Input and output of the process that the command runs in. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** @internal */
export interface Service {
  /** Writes results to standard output. */
  readonly out: (text: string) => Effect.Effect<void>
  /** Writes everything else to standard error. */
  readonly err: (text: string) => Effect.Effect<void>
  readonly outIsTerminal: boolean
  readonly errIsTerminal: boolean
  readonly inIsTerminal: boolean
  /** Width of standard output, from the terminal or `COLUMNS`; undefined where lines may have any length. */
  readonly columns: number | undefined
  /** Width of standard error. */
  readonly errColumns: number
  /** Whether standard output takes escape sequences. */
  readonly color: boolean
  /** Redacts this text in all output from now on. */
  readonly redact: (secret: string) => Effect.Effect<void>
  /** Reads one line of standard input, without its end; undefined at the end of the input. */
  readonly readLine: Effect.Effect<string | undefined>
  /** Reads lines that a person edits after a prompt, on a terminal with a history of them, until the scope closes. */
  readonly openPrompt: Effect.Effect<(prompt: string) => Effect.Effect<string | undefined>, never, Scope.Scope>
  /** The same as `readLine`, without echo on a terminal. */
  readonly readSecret: Effect.Effect<string | undefined>
  /**
   * Runs an effect at the first Ctrl-C, in place of the end of the command, until the scope closes. The exit code is that
   * of an interrupted command all the same.
   */
  readonly onInterrupt: (effect: Effect.Effect<unknown>) => Effect.Effect<void, never, Scope.Scope>
  /** The name of this computer, without its domain. */
  readonly hostname: string
}

/** @internal */
export class Io extends Context.Tag("@effect-tinker/cli/internal/Io")<Io, Service>() {}
