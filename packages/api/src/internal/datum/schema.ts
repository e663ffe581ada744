/** The schemas of a datum and of its provenance. */
import * as Schema from "effect/Schema"
import * as ModelInput from "../../ModelInput.ts"
import * as TensorData from "../../TensorData.ts"
import { optionalKey } from "../schemas/optional.ts"

/**
 * Where a run of `length` tokens came from: positions `offset` to `offset + length` of the prompt of a sampled sequence
 * (`prompt`), or of the sequence itself (`sampled`). `sequence_id` is the id that sampling returned.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Span = Schema.Struct({
  type: Schema.Literal("prompt", "sampled"),
  sequence_id: Schema.NonEmptyString,
  offset: Schema.NonNegativeInt,
  length: Schema.NonNegativeInt
})

/**
 * @since 0.1.0
 * @category models
 */
export type Span = typeof Span.Type

/**
 * A training example. The spans, which only protobuf carries, come as a pair: those of the input cover its positions one
 * after another, and those of the loss inputs cover `target_tokens`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Datum = Schema.Struct({
  model_input: ModelInput.ModelInput,
  loss_fn_inputs: Schema.Record({ key: Schema.String, value: TensorData.TensorData }),
  model_input_spans: optionalKey(Schema.Array(Span)),
  loss_fn_input_spans: optionalKey(Schema.Array(Span))
})

/**
 * @since 0.1.0
 * @category models
 */
export type Datum = typeof Datum.Type

/**
 * Why a loss function cannot use a datum, and the path to the field at fault.
 *
 * @since 0.1.0
 * @category models
 */
export interface Problem {
  readonly path: string
  readonly reason: string
}
