/** The errors of the command itself. */
import * as Data from "effect/Data"

/** Ends the command with one line on standard error, and exit code 1. @internal */
export class CliError extends Data.TaggedError("CliError")<{
  readonly title: string
  /** Why it happened, or how to fix it. */
  readonly details?: string | undefined
  readonly cause?: unknown
}> {
  override get message(): string {
    return this.details === undefined ? this.title : `${this.title}. ${this.details}`
  }
}

/** A wrong command line, which ends the command with exit code 2. @internal */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly reason: string }> {
  override get message(): string {
    return this.reason
  }
}
