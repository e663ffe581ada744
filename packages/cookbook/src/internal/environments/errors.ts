/** Errors of environments. */
import * as Schema from "effect/Schema"

/**
 * A grader took longer than its time. Give it more, or find out why it is slow: an episode without its reward is no data.
 *
 * @since 0.1.0
 * @category errors
 */
export class GraderTimeout extends Schema.TaggedError<GraderTimeout>("@effect-tinker/cookbook/Env/GraderTimeout")(
  "GraderTimeout",
  { seconds: Schema.Number }
) {
  override get message(): string {
    return `a grader took longer than ${this.seconds} s`
  }
}
