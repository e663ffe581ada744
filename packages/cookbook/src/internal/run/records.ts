/** The lines of `checkpoints.jsonl`. */
import * as Schema from "effect/Schema"
import { optionalKey } from "../effect/optionalKey.ts"

/** What writes these files, in their key `writer`. @internal */
export const writer = "effect-tinker"

/**
 * A line of `checkpoints.jsonl`. Other keys are kept.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Checkpoint = Schema.Struct(
  {
    name: Schema.String,
    /** the next step to run: the number of steps that the state holds */
    batch: optionalKey(Schema.NonNegativeInt),
    epoch: optionalKey(Schema.Int),
    /** the state of a run that has ended */
    final: optionalKey(Schema.Boolean),
    /** saved to resume only, and deleted when there is a newer one */
    rolling: optionalKey(Schema.Boolean),
    state_path: optionalKey(Schema.String),
    sampler_path: optionalKey(Schema.String),
    /** tokens that were trained on */
    elapsed_tokens: optionalKey(Schema.NonNegativeInt),
    /** how long the run has taken, without the time between its parts */
    elapsed_seconds: optionalKey(Schema.Number),
    /** absent in files of the service's own cookbook */
    writer: optionalKey(Schema.String)
  },
  { key: Schema.String, value: Schema.Unknown }
)

/**
 * @since 0.1.0
 * @category models
 */
export type Checkpoint = typeof Checkpoint.Type

/**
 * A line of `samples.jsonl`: what the model wrote when it had done so many steps.
 *
 * @since 0.1.0
 * @category models
 */
export interface Sample {
  readonly step: number
  readonly prompt: string
  readonly text: string
}
