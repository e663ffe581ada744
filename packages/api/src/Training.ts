/**
 * Training operations: forward, forward-backward and optimizer steps.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Datum from "./Datum.ts"
import { nullish, nullishWithDefault } from "./internal/schemas/optional.ts"
import { JsonValue, Metrics, otherType, taggedUnion, typeField, withoutNulls } from "./internal/schemas/wire.ts"
import * as losses from "./internal/tensor/lossSum.ts"
import * as LossFn from "./LossFn.ts"
import * as TensorData from "./TensorData.ts"

/**
 * The data and the loss function of a forward or forward-backward.
 *
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
 * The body of `forward_backward`, which computes losses and accumulates gradients.
 *
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
 * The body of `forward`, which computes losses only.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ForwardRequest = Schema.Struct({
  forward_input: ForwardBackwardInput,
  model_id: Schema.String,
  seq_id: nullish(Schema.Int)
})

/**
 * The result of a forward or forward-backward: per datum, in order, named tensors such as `logprobs`, which has the length
 * of the datum; and metrics named `name:reduction`, such as `loss:sum`. A metric that is not finite is `NaN`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ForwardBackwardOutput = Schema.Struct({
  loss_fn_output_type: nullishWithDefault(Schema.String, () => ""),
  loss_fn_outputs: nullishWithDefault(Schema.Array(withoutNulls(TensorData.TensorData)), () => []),
  metrics: nullishWithDefault(Metrics, () => ({}))
})

/**
 * @since 0.1.0
 * @category models
 */
export type ForwardBackwardOutput = typeof ForwardBackwardOutput.Type

/**
 * The loss of a batch, summed over its tokens: the metric `loss:sum`, or, from a service that reports none, the sum of
 * the `elementwise_loss` of its datums, or, for `cross_entropy`, of the negated logprobs times their weights. The last
 * also takes the place of a `loss:sum` that differs from it by more than 1 %, for it is the definition of that loss. None
 * if the output has nothing of these, or a loss that is not finite.
 *
 * @since 0.1.0
 * @category getters
 */
export const lossSum = (
  output: ForwardBackwardOutput,
  data: ReadonlyArray<Datum.Datum>,
  lossFn: LossFn.LossFn
): Option.Option<number> =>
  Option.fromNullable(
    losses.lossSum(
      output,
      data.map(({ loss_fn_inputs }) => loss_fn_inputs),
      lossFn
    )
  )

/**
 * The logprobs of the targets of each datum, in order, or the path to what the output lacks.
 *
 * @since 0.1.0
 * @category getters
 */
export const logprobsOf = (
  output: Pick<ForwardBackwardOutput, "loss_fn_outputs">,
  data: ReadonlyArray<Datum.Datum>
): Either.Either<ReadonlyArray<Float32Array>, Datum.Problem> => {
  const { loss_fn_outputs } = output
  if (loss_fn_outputs.length !== data.length) {
    const reason = `has ${loss_fn_outputs.length} entries for ${data.length} datums`
    return Either.left({ path: "loss_fn_outputs", reason })
  }
  const all: Array<Float32Array> = []
  for (const [i, { loss_fn_inputs }] of data.entries()) {
    const path = `loss_fn_outputs[${i}].logprobs`
    const logprobs = loss_fn_outputs[i]!.logprobs
    const length = loss_fn_inputs["target_tokens"]?.data.length
    if (logprobs?.dtype !== "float32") return Either.left({ path, reason: "is missing" })
    if (logprobs.data.length !== length) {
      return Either.left({ path, reason: `has ${logprobs.data.length} values for ${length} targets` })
    }
    all.push(logprobs.data)
  }
  return Either.right(all)
}

const positive = Schema.Finite.pipe(Schema.greaterThan(0))
const decay = Schema.Finite.pipe(Schema.greaterThanOrEqualTo(0), Schema.lessThan(1))
const nonNegative = Schema.Finite.pipe(Schema.greaterThanOrEqualTo(0))

/**
 * One step of AdamW with decoupled weight decay. `grad_clip_norm` limits the global norm of the gradient; 0 disables it.
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
 * A step of Adam.
 *
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
 * One step of the Dimuon optimizer. A `grad_clip_norm` of 0 or less disables clipping.
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
 * The parameters of one step of the optimizer that the model was created with.
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
 * A step of an optimizer other than Adam, whose parameters have another field name.
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
 * The body of `optim_step`, for Adam or for another optimizer.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AnyOptimStepRequest = Schema.Union(OptimStepRequest, OptimizerStepRequest)

/**
 * The metrics of an optimizer step.
 *
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

/**
 * The header in which a request names earlier sequence numbers of its model whose requests were rejected, separated by
 * commas. Our service waits for none of them; others ignore it.
 *
 * @since 0.1.0
 * @category constants
 */
export const refusedSeqIdsHeader = "x-tinker-refused-seq-ids"

/**
 * How many numbers that header names at most.
 *
 * @since 0.1.0
 * @category constants
 */
export const maxRefusedSeqIds = 500
