/** Errors of reinforcement learning. */
import * as Schema from "effect/Schema"

/**
 * What samples and what trains disagree on the same tokens: their divergence is above the tolerance. It is usually another
 * tokenization of the prompt, other weights, or a mask that is off by one. Raise `agreement` only if you know why.
 *
 * @since 0.1.0
 * @category errors
 */
export class SamplerMismatch extends Schema.TaggedError<SamplerMismatch>("@effect-tinker/cookbook/Rl/SamplerMismatch")(
  "SamplerMismatch",
  {
    /** nats a token */
    k1: Schema.Number,
    k3: Schema.Number,
    /** the largest difference of a token */
    max: Schema.Number,
    tolerance: Schema.Number
  }
) {
  override get message(): string {
    const { k1, k3, max, tolerance } = this
    return `the sampler and the trainer disagree on what was sampled: |k1| ${Math.abs(k1)}, k3 ${k3} (at most ${tolerance}), largest difference of a token ${max}`
  }
}

/**
 * A metric left the bounds that an alarm sets, so the run has stopped. Its last checkpoint is from before the step.
 *
 * @since 0.1.0
 * @category errors
 */
export class AlarmRaised extends Schema.TaggedError<AlarmRaised>("@effect-tinker/cookbook/Rl/AlarmRaised")(
  "AlarmRaised",
  { step: Schema.Int, metric: Schema.String, value: Schema.Number, bound: Schema.Number }
) {
  override get message(): string {
    return `${this.metric} is ${this.value} at step ${this.step}, beyond its bound ${this.bound}`
  }
}

/**
 * The service's output of a pass lacks what the loop needs of it.
 *
 * @since 0.1.0
 * @category errors
 */
export class OutputMissing extends Schema.TaggedError<OutputMissing>("@effect-tinker/cookbook/Rl/OutputMissing")(
  "OutputMissing",
  { path: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `${this.path} ${this.reason}`
  }
}
