import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** The process that the command runs in, as far as its input and output go. @internal */
export interface Service {
  /** Results, to standard output. */
  readonly out: (text: string) => Effect.Effect<void>
  /** Everything else, to standard error. */
  readonly err: (text: string) => Effect.Effect<void>
  readonly outIsTerminal: boolean
  readonly errIsTerminal: boolean
  readonly inIsTerminal: boolean
  /** of the terminal that standard output is, or as `COLUMNS` says; none where lines may be of any length */
  readonly columns: number | undefined
  /** of the terminal that standard error is */
  readonly errColumns: number
  /** standard output takes escape sequences */
  readonly color: boolean
  /** From now on this text appears in no output. */
  readonly hide: (secret: string) => Effect.Effect<void>
  /** one line of standard input, without its end; none when there is no more */
  readonly readLine: Effect.Effect<string | undefined>
  /** the same, and a terminal does not show what is typed */
  readonly readSecret: Effect.Effect<string | undefined>
  /** the name of this computer */
  readonly machine: string
}

/** @internal */
export class Io extends Context.Tag("@effect-tinker/cli/internal/Io")<Io, Service>() {}
