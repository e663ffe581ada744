/** Turns a custom loss into `cross_entropy` passes that give the model the same gradient. */
import type * as Datum from "@effect-tinker/api/Datum"
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as Training from "@effect-tinker/api/Training"
import type * as CustomLoss from "../../CustomLoss.ts"

/** The data of the forward pass, with only the inputs that `cross_entropy` knows. @internal */
export const forwardData = (data: ReadonlyArray<Datum.Datum>): ReadonlyArray<Datum.For<"cross_entropy">> =>
  data.map(({ loss_fn_inputs, model_input }) => {
    const target_tokens = loss_fn_inputs["target_tokens"]!
    const { weights } = loss_fn_inputs
    return {
      model_input,
      loss_fn_inputs: {
        target_tokens,
        weights: weights ?? {
          ...target_tokens,
          dtype: "float32",
          data: new Float32Array(target_tokens.data.length),
          shape: TensorData.shapeOf(target_tokens)
        }
      }
    }
  })

/** The logprobs in the output of the forward pass; a string says what is missing. @internal */
export const logprobsOf = (
  data: ReadonlyArray<Datum.Datum>,
  output: Training.ForwardBackwardOutput
): ReadonlyArray<CustomLoss.Logprobs> | string => {
  const { loss_fn_outputs: outputs } = output
  if (outputs.length !== data.length) return `loss_fn_outputs: has ${outputs.length} items for ${data.length} datums`
  const all: Array<CustomLoss.Logprobs> = []
  for (let i = 0; i < outputs.length; i++) {
    const logprobs = outputs[i]!["logprobs"]
    if (logprobs === undefined || logprobs.dtype !== "float32") return `loss_fn_outputs[${i}].logprobs: is missing`
    const { data, shape } = TensorData.toDense(logprobs)
    all.push({ data, shape: shape ?? [data.length] })
  }
  return all
}

interface Problem {
  readonly path: string
  readonly reason: string
}

/** A gradient needs one finite number per logprob. */
const checkGradient = (path: string, gradient: ArrayLike<number>, length: number): Problem | undefined => {
  if (gradient.length !== length) {
    return { path, reason: `has ${gradient.length} numbers for ${length} logprobs: give one for each` }
  }
  for (let j = 0; j < length; j++) {
    if (!Number.isFinite(gradient[j])) {
      return { path: `${path}[${j}]`, reason: `is ${gradient[j]}: give a finite number` }
    }
  }
  return undefined
}

/** What is wrong with the result of a loss, if anything is. @internal */
export const checkResult = (
  logprobs: ReadonlyArray<CustomLoss.Logprobs>,
  { gradients, loss, metrics = {} }: CustomLoss.Result
): Problem | undefined => {
  if (typeof loss !== "number" || !Number.isFinite(loss)) {
    return { path: "loss", reason: `is ${loss}: give a finite number` }
  }
  if (gradients.length !== logprobs.length) {
    return {
      path: "gradients",
      reason: `has ${gradients.length} items for ${logprobs.length} datums: give one for each`
    }
  }
  for (let i = 0; i < gradients.length; i++) {
    const problem = checkGradient(`gradients[${i}]`, gradients[i]!, logprobs[i]!.data.length)
    if (problem !== undefined) return problem
  }
  const metric = Object.keys(metrics).find((name) => typeof metrics[name] !== "number")
  return metric === undefined ? undefined : { path: `metrics.${metric}`, reason: "is not a number" }
}

/**
 * The data of the backward pass. `cross_entropy` is the sum of `-logprob * weight`, so its gradient by the logprobs is the
 * negated weights: weights that are the negated gradient of the loss give the same gradient.
 *
 * @internal
 */
export const backwardData = (
  data: ReadonlyArray<Datum.Datum>,
  logprobs: ReadonlyArray<CustomLoss.Logprobs>,
  { gradients }: CustomLoss.Result
): ReadonlyArray<Datum.For<"cross_entropy">> =>
  data.map(({ loss_fn_inputs, model_input }, i) => ({
    model_input,
    loss_fn_inputs: {
      target_tokens: TensorData.toDense(loss_fn_inputs["target_tokens"]!),
      weights: {
        dtype: "float32",
        // subtracted from 0, for a negated 0 would be -0
        data: Float32Array.from(gradients[i]!, (value) => 0 - value),
        shape: logprobs[i]!.shape
      }
    }
  }))

/** Reports the custom loss as `loss:sum`, and the loss of the backward pass as `surrogate_loss:sum`. @internal */
export const mergeResult = (
  output: Training.ForwardBackwardOutput,
  result: CustomLoss.Result
): Training.ForwardBackwardOutput => {
  const { "loss:sum": surrogateLoss, ...metrics } = output.metrics
  return {
    ...output,
    metrics: {
      ...metrics,
      ...(surrogateLoss === undefined ? {} : { "surrogate_loss:sum": surrogateLoss }),
      "loss:sum": result.loss,
      ...result.metrics
    }
  }
}
