/** The options of evaluations, and the errors of what they are given. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { DurationInput } from "../effect/duration.ts"
import type { Problem } from "./model.ts"

/**
 * An evaluation cannot run with what it was given. `path` names the option or the problem.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidEval extends Schema.TaggedError<InvalidEval>("@effect-tinker/cookbook/Eval/InvalidEval")(
  "InvalidEval",
  { path: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `${this.path} ${this.reason}`
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E = never, R = never, E2 = never, R2 = never> {
  readonly name: string
  /** names the weights, such as their `tinker://` path: outcomes of others are not reused */
  readonly model: string
  readonly sampler: Pick<SamplingClient.SamplingClient, "sample">
  readonly problems: Stream.Stream<Problem<E, R>, E2, R2>
  readonly decode: (tokens: ArrayLike<number>) => string
  /** samples of each problem; 1 by default */
  readonly samples?: number | undefined
  /** how to sample; the seed of a problem is this one plus its number. A temperature of 0.6 by default */
  readonly sampling?: typeof Sampling.SamplingParams.Encoded | undefined
  /** the k of pass@k; 1 and the number of samples by default */
  readonly k?: ReadonlyArray<number> | undefined
  /** problems at once; 64 by default */
  readonly concurrency?: number | undefined
  /** for a problem, with its grader; 300 seconds by default */
  readonly timeout?: DurationInput | undefined
  /** a file of JSON lines: outcomes are appended when they are there, and a later run reuses them. None by default */
  readonly file?: string | undefined
}
