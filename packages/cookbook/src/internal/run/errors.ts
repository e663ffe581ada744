/** Why a directory cannot hold a run, or not this one. */
import * as Schema from "effect/Schema"
import { optionalKey } from "../effect/optionalKey.ts"

/**
 * A file of a run cannot be read or written.
 *
 * @since 0.1.0
 * @category errors
 */
export class RunDirectoryError extends Schema.TaggedError<RunDirectoryError>(
  "@effect-tinker/cookbook/RunDirectory/RunDirectoryError"
)("RunDirectoryError", {
  path: Schema.String,
  /** counted from 1 */
  line: optionalKey(Schema.Int),
  reason: Schema.String,
  cause: optionalKey(Schema.Defect)
}) {
  override get message(): string {
    return `${this.path}${this.line === undefined ? "" : `:${this.line}`}: ${this.reason}`
  }
}

/**
 * The directory holds a run. Resume it, or choose another directory.
 *
 * @since 0.1.0
 * @category errors
 */
export class RunExists extends Schema.TaggedError<RunExists>("@effect-tinker/cookbook/RunDirectory/RunExists")(
  "RunExists",
  { path: Schema.String }
) {
  override get message(): string {
    return `there is a run in ${this.path}: resume it, or choose another directory`
  }
}

/**
 * The run in the directory is another one: each difference has the name of what differs.
 *
 * @since 0.1.0
 * @category errors
 */
export class RunMismatch extends Schema.TaggedError<RunMismatch>("@effect-tinker/cookbook/RunDirectory/RunMismatch")(
  "RunMismatch",
  {
    path: Schema.String,
    differences: Schema.Array(Schema.Struct({ name: Schema.String, recorded: Schema.String, given: Schema.String }))
  }
) {
  override get message(): string {
    const all = this.differences.map(({ given, name, recorded }) => `${name} was ${recorded} and is ${given}`)
    return `the run in ${this.path} cannot be resumed: ${all.join("; ")}. Give what it was, or choose another directory`
  }
}
