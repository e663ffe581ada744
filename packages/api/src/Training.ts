/**
 * Forward and backward passes, and optimizer steps.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Datum from "./Datum.ts"
import { nullish, nullishWithDefault } from "./internal/schemas/optional.ts"
import { JsonValue, Metrics, otherType, taggedUnion, typeField } from "./internal/schemas/wire.ts"
import * as LossFn from "./LossFn.ts"
import * as TensorData from "./TensorData.ts"

/**
 * @since 0.1.0
 * @category schemas
 */
export const ForwardBackwardInput = Schema.Struct({
  data: Schema.Array(Datum.Datum),
  loss_fn: LossFn.LossFn,
  loss_fn_config: nullish(LossFn.Config)
})

/**
 * @since 0.1.0
 * @category models
 */
export type ForwardBackwardInput = typeof ForwardBackwardInput.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const ForwardBackwardRequest = Schema.Struct({
  forward_backward_input: ForwardBackwardInput,
  model_id: Schema.String,
  seq_id: nullish(Schema.Int)
})

/**
 * @since 0.1.0
 * @category models
 */
export type ForwardBackwardRequest = typeof ForwardBackwardRequest.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const ForwardRequest = Schema.Struct({
  forward_input: ForwardBackwardInput,
  model_id: Schema.String,
  seq_id: nullish(Schema.Int)
})

/**
 * What a pass returns: for each datum, in order, named tensors such as `logprobs` of the datum's own length; and metrics
 * named `name:reduction`, such as `loss:sum`; one that is not a number is `NaN`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ForwardBackwardOutput = Schema.Struct({
  loss_fn_output_type: Schema.String,
  loss_fn_outputs: Schema.Array(Schema.Record({ key: Schema.String, value: TensorData.TensorData })),
  metrics: Metrics
})

/**
 * @since 0.1.0
 * @category models
 */
export type ForwardBackwardOutput = typeof ForwardBackwardOutput.Type

const positive = Schema.Finite.pipe(Schema.greaterThan(0))
const decay = Schema.Finite.pipe(Schema.greaterThanOrEqualTo(0), Schema.lessThan(1))
const nonNegative = Schema.Finite.pipe(Schema.greaterThanOrEqualTo(0))

/**
 * AdamW with decoupled weight decay. `grad_clip_norm` bounds the global norm of the gradient; 0 turns it off.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AdamParams = Schema.Struct({
  learning_rate: nullishWithDefault(nonNegative, () => 1e-4),
  beta1: nullishWithDefault(decay, () => 0.9),
  beta2: nullishWithDefault(decay, () => 0.95),
  eps: nullishWithDefault(positive, () => 1e-12),
  weight_decay: nullishWithDefault(nonNegative, () => 0),
  grad_clip_norm: nullishWithDefault(nonNegative, () => 0)
})

/**
 * @since 0.1.0
 * @category models
 */
export type AdamParams = typeof AdamParams.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const OptimStepRequest = Schema.Struct({
  adam_params: AdamParams,
  model_id: Schema.String,
  seq_id: nullish(Schema.Int),
  type: typeField("optim_step")
})

/**
 * @since 0.1.0
 * @category models
 */
export type OptimStepRequest = typeof OptimStepRequest.Type

/**
 * One step of the Dimuon optimizer. A `grad_clip_norm` of 0 or less turns clipping off.
 *
 * @since 0.1.0
 * @category schemas
 */
export const DimuonParams = Schema.Struct({
  type: Schema.Literal("dimuon"),
  learning_rate: nonNegative,
  grad_clip_norm: nullishWithDefault(Schema.Finite, () => 0),
  beta1: nullishWithDefault(decay, () => 0.9)
})

/**
 * @since 0.1.0
 * @category models
 */
export type DimuonParams = typeof DimuonParams.Type

/**
 * The parameters of an optimizer that this version does not know.
 *
 * @since 0.1.0
 * @category schemas
 */
export const OtherOptimizerParams = Schema.Struct(
  { type: otherType("dimuon") },
  { key: Schema.String, value: JsonValue }
)

/**
 * Parameters of one step, of whatever optimizer the model was created with.
 *
 * @since 0.1.0
 * @category schemas
 */
export const OptimizerParams = taggedUnion("type", DimuonParams, OtherOptimizerParams)

/**
 * @since 0.1.0
 * @category models
 */
export type OptimizerParams = typeof OptimizerParams.Type

/**
 * A step of an optimizer other than Adam, whose parameters go by another name.
 *
 * @since 0.1.0
 * @category schemas
 */
export const OptimizerStepRequest = Schema.Struct({
  optimizer_params: OptimizerParams,
  model_id: Schema.String,
  seq_id: nullish(Schema.Int),
  type: typeField("optim_step")
})

/**
 * @since 0.1.0
 * @category models
 */
export type OptimizerStepRequest = typeof OptimizerStepRequest.Type

/**
 * The body of an optimizer step, of Adam or of another optimizer.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AnyOptimStepRequest = Schema.Union(OptimStepRequest, OptimizerStepRequest)

/**
 * @since 0.1.0
 * @category schemas
 */
export const OptimStepResponse = Schema.Struct({
  metrics: nullish(Metrics)
})

/**
 * @since 0.1.0
 * @category models
 */
export type OptimStepResponse = typeof OptimStepResponse.Type
