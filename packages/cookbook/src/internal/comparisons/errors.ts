/** Errors of comparisons. */
import * as Schema from "effect/Schema"

/**
 * A judge returned something else than a number from -1 to 1.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidJudgement extends Schema.TaggedError<InvalidJudgement>(
  "@effect-tinker/cookbook/Comparison/InvalidJudgement"
)("InvalidJudgement", { value: Schema.Number }) {
  override get message(): string {
    return `a judge returned ${this.value}: give a number from -1 to 1`
  }
}
