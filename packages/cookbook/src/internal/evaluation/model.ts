/** The types of evaluations. */
import type * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { optionalKey } from "../effect/optionalKey.ts"

/**
 * An answer to grade.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answer {
  /** the text as it was sampled, with the stop sequence */
  readonly text: string
  readonly tokens: Int32Array
  /** `stop` or `length` */
  readonly stopReason: string
}

/**
 * A problem of an evaluation.
 *
 * @since 0.1.0
 * @category models
 */
export interface Problem<E = never, R = never> {
  /** tells it from the others; a hash of its content by default */
  readonly id?: string | undefined
  readonly prompt: ModelInput.ModelInput | ReadonlyArray<number>
  /** the prompt to show to a reader */
  readonly input: string
  /** the right answer to show to a reader */
  readonly target?: string | undefined
  /** from 0 to 1; a sample with 1 counts as right for pass@k */
  readonly grade: (answer: Answer) => number | Effect.Effect<number, E, R>
}

/**
 * What became of a problem: a line of the file of results.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Outcome = Schema.Struct({
  /** a hash of the model, the problem and how it was sampled */
  hash: Schema.String,
  id: Schema.String,
  input: Schema.String,
  target: optionalKey(Schema.String),
  samples: Schema.Array(
    Schema.Struct({ text: Schema.String, stop_reason: Schema.String, score: Schema.Number.pipe(Schema.between(0, 1)) })
  ),
  /** why there are no samples; such a problem has the score 0, and is tried again by the next run */
  error: optionalKey(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type Outcome = typeof Outcome.Type

/**
 * @since 0.1.0
 * @category models
 */
export interface Result {
  readonly name: string
  readonly model: string
  /** samples of each problem */
  readonly samples: number
  /** in the order of the problems */
  readonly outcomes: ReadonlyArray<Outcome>
  /** the mean score: of the samples of a problem, then over the problems */
  readonly accuracy: number
  /** of the mean over problems, whose samples are not independent */
  readonly standardError: number
  /** at 95 %, by Wilson */
  readonly interval: readonly [low: number, high: number]
  /** the chance that one of k samples is right, by k, without bias */
  readonly passAt: { readonly [k: number]: number }
  /** problems without an outcome */
  readonly errors: number
  /** problems whose outcome an earlier run had */
  readonly reused: number
}

/**
 * Two evaluations of the same problems, by their ids.
 *
 * @since 0.1.0
 * @category models
 */
export interface Comparison {
  /** problems that both have */
  readonly problems: number
  /** the mean score of the second minus that of the first */
  readonly difference: number
  /** at 95 % */
  readonly interval: readonly [low: number, high: number]
  /** problems in which the second is better, and in which it is worse */
  readonly better: number
  readonly worse: number
  /** the chance of counts as uneven as these if neither is better: the exact sign test, two-sided */
  readonly p: number
}
