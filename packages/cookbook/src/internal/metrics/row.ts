/** Rows of metrics, spans of time, and what receives them. */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { optionalKey } from "../effect/optionalKey.ts"

/**
 * What is known of one step: numbers and short texts by name. `null` is a number that is not known or not finite.
 *
 * @since 0.1.0
 * @category models
 */
export interface Row {
  /** counted from 0 */
  readonly step: number
  readonly [name: string]: number | string | boolean | null
}

/**
 * A stretch of time within a step. Spans of a step may overlap.
 *
 * @since 0.1.0
 * @category models
 */
export interface Span {
  readonly name: string
  /** in seconds */
  readonly duration: number
  /** in seconds since 1970 */
  readonly wall_start: number
  readonly wall_end: number
}

/**
 * A row could not be written where it belongs.
 *
 * @since 0.1.0
 * @category errors
 */
export class MetricsError extends Schema.TaggedError<MetricsError>("@effect-tinker/cookbook/Metrics/MetricsError")(
  "MetricsError",
  {
    /** the sink or the file at fault */
    target: Schema.String,
    reason: Schema.String,
    cause: optionalKey(Schema.Defect)
  }
) {
  override get message(): string {
    return `metrics cannot be written to ${this.target}: ${this.reason}`
  }
}

/**
 * Receives the row of each step, in order, and the spans of that step.
 *
 * @since 0.1.0
 * @category models
 */
export type Sink = (row: Row, spans: ReadonlyArray<Span>) => Effect.Effect<void, MetricsError>

/** A row of JSON may not hold other numbers than finite ones. @internal */
export const finite = (value: number | undefined): number | null =>
  value !== undefined && Number.isFinite(value) ? value : null
