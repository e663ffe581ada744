/**
 * Losses of the program's own, computed on this side from the logprobs that the service gives, for
 * `TrainingClient.forwardBackwardCustom`.
 *
 * ```ts
 * // the entropy-free part of a policy gradient: loss = -sum(advantage * logprob)
 * const loss: CustomLoss.CustomLoss<Datum.Datum> = (data, logprobs) => ({
 *   loss: sum(data.map((datum, i) => -dot(advantagesOf(datum), logprobs[i]!.data))),
 *   gradients: data.map((datum) => advantagesOf(datum).map((advantage) => -advantage))
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Datum from "@effect-tinker/api/Datum"
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as Training from "@effect-tinker/api/Training"
import type * as Effect from "effect/Effect"

/**
 * The logprobs of a datum's targets: flat, row-major; the shape is that of `target_tokens`, `[N]` or `[N, K]`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Logprobs {
  readonly data: Float32Array
  readonly shape: ReadonlyArray<number>
}

/**
 * What a loss gives: its value, and for each datum its derivative by that datum's logprobs, in their order. Metrics are
 * merged over those of the service; their names need no reduction.
 *
 * @since 0.1.0
 * @category models
 */
export interface Result {
  readonly loss: number
  readonly gradients: ReadonlyArray<ArrayLike<number>>
  readonly metrics?: { readonly [name: string]: number } | undefined
}

/**
 * What a custom loss can be computed on: any datum that has targets; further inputs are the loss's own and are not sent.
 *
 * @since 0.1.0
 * @category models
 */
export type Target = Datum.For<"custom">

/**
 * @since 0.1.0
 * @category models
 */
export type CustomLoss<D extends Target, E = never, R = never> = (
  data: ReadonlyArray<D>,
  logprobs: ReadonlyArray<Logprobs>
) => Result | Effect.Effect<Result, E, R>

/** The data of the forward pass; only what `cross_entropy` knows is sent. @internal */
export const forwardData = (data: ReadonlyArray<Datum.Datum>): ReadonlyArray<Datum.For<"cross_entropy">> =>
  data.map(({ loss_fn_inputs, model_input }) => {
    const target_tokens = loss_fn_inputs["target_tokens"]!
    const { weights } = loss_fn_inputs
    const shape = TensorData.shapeOf(target_tokens)
    return {
      model_input,
      loss_fn_inputs: {
        target_tokens,
        weights: weights ?? {
          ...target_tokens,
          dtype: "float32",
          data: new Float32Array(target_tokens.data.length),
          shape
        }
      }
    }
  })

/** The logprobs of a forward pass; or what is missing. @internal */
export const logprobsOf = (
  data: ReadonlyArray<Datum.Datum>,
  output: Training.ForwardBackwardOutput
): ReadonlyArray<Logprobs> | string => {
  const { loss_fn_outputs: outputs } = output
  if (outputs.length !== data.length) return `loss_fn_outputs: has ${outputs.length} items for ${data.length} datums`
  const found: Array<Logprobs> = []
  for (let i = 0; i < outputs.length; i++) {
    const logprobs = outputs[i]!["logprobs"]
    if (logprobs === undefined || logprobs.dtype !== "float32") return `loss_fn_outputs[${i}].logprobs: is missing`
    const { data, shape } = TensorData.toDense(logprobs)
    found.push({ data, shape: shape ?? [data.length] })
  }
  return found
}

/** What is wrong with a loss's result. @internal */
export const problem = (
  logprobs: ReadonlyArray<Logprobs>,
  result: Result
): { readonly path: string; readonly reason: string } | undefined => {
  const { gradients, loss, metrics } = result
  if (typeof loss !== "number" || !Number.isFinite(loss))
    return { path: "loss", reason: `is ${loss}: give a finite number` }
  if (gradients.length !== logprobs.length) {
    return {
      path: "gradients",
      reason: `has ${gradients.length} items for ${logprobs.length} datums: give one for each`
    }
  }
  for (let i = 0; i < gradients.length; i++) {
    const gradient = gradients[i]!
    const { length } = logprobs[i]!.data
    if (gradient.length !== length) {
      return {
        path: `gradients[${i}]`,
        reason: `has ${gradient.length} numbers for ${length} logprobs: give one for each`
      }
    }
    for (let j = 0; j < length; j++) {
      if (!Number.isFinite(gradient[j])) {
        return { path: `gradients[${i}][${j}]`, reason: `is ${gradient[j]}: give a finite number` }
      }
    }
  }
  for (const [name, value] of Object.entries(metrics ?? {})) {
    if (typeof value !== "number") return { path: `metrics.${name}`, reason: "is no number" }
  }
  return undefined
}

/**
 * The data of the backward pass: `cross_entropy` is the sum of `-logprob * weight`, so weights that are the negated
 * gradient make the service's gradient the loss's own.
 *
 * @internal
 */
export const backwardData = (
  data: ReadonlyArray<Datum.Datum>,
  logprobs: ReadonlyArray<Logprobs>,
  { gradients }: Result
): ReadonlyArray<Datum.For<"cross_entropy">> =>
  data.map(({ loss_fn_inputs, model_input }, i) => ({
    model_input,
    loss_fn_inputs: {
      target_tokens: TensorData.toDense(loss_fn_inputs["target_tokens"]!),
      // -0 means the same as 0 and would only look odd
      weights: {
        dtype: "float32",
        data: Float32Array.from(gradients[i]!, (value) => 0 - value),
        shape: logprobs[i]!.shape
      }
    }
  }))

/** The user's loss takes the place of the one that carried its gradient. @internal */
export const merge = (output: Training.ForwardBackwardOutput, result: Result): Training.ForwardBackwardOutput => {
  const { "loss:sum": surrogate, ...metrics } = output.metrics
  return {
    ...output,
    metrics: {
      ...metrics,
      ...(surrogate === undefined ? {} : { "surrogate_loss:sum": surrogate }),
      "loss:sum": result.loss,
      ...result.metrics
    }
  }
}
