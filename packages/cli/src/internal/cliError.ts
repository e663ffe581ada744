import * as Data from "effect/Data"

/** What ends the command with one line on standard error, and exit code 1. @internal */
export class CliError extends Data.TaggedError("CliError")<{
  readonly title: string
  /** what happened, or what to do */
  readonly details?: string | undefined
  readonly cause?: unknown
}> {
  override get message(): string {
    return this.details === undefined ? this.title : `${this.title}. ${this.details}`
  }
}

/** The command line is wrong: exit code 2. @internal */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly reason: string }> {
  override get message(): string {
    return this.reason
  }
}
