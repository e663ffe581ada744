/** Validates a datum for a loss function, and converts it to the arrays that training reads. */
import * as Datum from "@effect-tinker/api/Datum"
import type * as LossFn from "@effect-tinker/api/LossFn"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as Either from "effect/Either"
import * as losses from "./losses.ts"

/** A datum ready for training. @internal */
export interface PreparedDatum {
  readonly tokens: Int32Array
  /** how many target tokens each position has */
  readonly targetsPerPosition: number
  /** (positions, targets per position), row-major */
  readonly targetTokens: Int32Array
  readonly loss: losses.Loss
}

/** The datum with the inputs that a loss function has defaults for. @internal */
export const complete = (datum: Datum.Datum, lossFn: string): Datum.Datum =>
  lossFn === "cross_entropy" ? withDefaultWeights(datum) : datum

/** Adds weights of 1 if there are none. */
const withDefaultWeights = (datum: Datum.Datum): Datum.Datum => {
  const targets = datum.loss_fn_inputs["target_tokens"]
  if (targets === undefined || Object.hasOwn(datum.loss_fn_inputs, "weights")) return datum
  const weights: TensorData.TensorData = {
    ...targets,
    dtype: "float32",
    data: new Float32Array(targets.data.length).fill(1)
  }
  return { ...datum, loss_fn_inputs: { ...datum.loss_fn_inputs, weights } }
}

const showShape = (shape: ReadonlyArray<number>): string => `[${shape.join(", ")}]`

const outsideVocabulary = (token: unknown, vocabSize: number): string =>
  `is ${String(token)}, but the vocabulary has ${vocabSize} tokens`

/** The inputs of losses that must have the shape of `target_tokens`. */
const perTargetInputs = [
  "weights",
  "logprobs",
  "advantages",
  "clip_low_threshold",
  "clip_high_threshold",
  "sequence_ratio_mask",
  "sampled_mask"
]

/** Why the loss inputs of a dense datum are invalid, or `undefined`. */
const lossInputsProblem = (datum: Datum.Datum, lossFn: string, vocabSize: number): string | undefined => {
  const inputs = datum.loss_fn_inputs
  const target = inputs["target_tokens"]!
  const shape = TensorData.shapeOf(target)
  if (shape.length > 2 || (shape.length === 2 && (lossFn !== "cross_entropy" || shape[1] === 0))) {
    return `loss_fn_inputs.target_tokens has the shape ${showShape(shape)}, which ${lossFn} does not take`
  }
  const badTarget = target.data.findIndex((token: number | bigint) => token < 0 || token >= vocabSize)
  if (badTarget >= 0) {
    return `loss_fn_inputs.target_tokens[${badTarget}] ${outsideVocabulary(target.data[badTarget], vocabSize)}`
  }
  const missing = losses.missingInput(lossFn, inputs)
  if (missing !== undefined) return `loss_fn_inputs.${missing} is missing: ${lossFn} needs it`
  for (const [name, tensor] of Object.entries(inputs)) {
    if (!perTargetInputs.includes(name)) continue
    const own = TensorData.shapeOf(tensor)
    if (tensor.data.length === target.data.length && own.length === shape.length) continue
    return (
      `loss_fn_inputs.${name} has the shape ${showShape(own)}, but target_tokens has ${showShape(shape)}: ` +
      "they must be equal"
    )
  }
  return lossFn === "gspo" && inputs["sequence_ratio_mask"]!.data.every((value: number | bigint) => Number(value) === 0)
    ? "loss_fn_inputs.sequence_ratio_mask is 0 everywhere: mark the sampled tokens with 1"
    : undefined
}

const toInt32 = (data: Int32Array | BigInt64Array | Float32Array): Int32Array =>
  data instanceof Int32Array ? data : Int32Array.from(data as ArrayLike<number | bigint>, Number)

const lossOf = (datum: Datum.Datum, lossFn: string, config: LossFn.LossFnConfig): losses.Loss => {
  const inputs = datum.loss_fn_inputs
  const floats = (name: string) => Float32Array.from(inputs[name]!.data as ArrayLike<number | bigint>, Number)
  if (lossFn === "cross_entropy") return losses.crossEntropy(floats("weights"))
  return losses.policyLoss(lossFn, {
    samplingLogprobs: floats("logprobs"),
    advantages: floats("advantages"),
    threshold: (side, fallback) => {
      const name = `clip_${side}_threshold`
      return Object.hasOwn(inputs, name)
        ? floats(name)
        : new Float32Array(inputs["target_tokens"]!.data.length).fill(config[name] ?? fallback)
    },
    beta: config["beta"] ?? 0.05,
    klCoeff: config["kl_coeff"] ?? 0,
    mask: floats
  })
}

/** Why a complete datum is invalid, beginning with the path of the field; `undefined` if it is valid. @internal */
export const problem = (given: Datum.Datum, lossFn: string, vocabSize: number): string | undefined => {
  const invalid = Datum.problem(given, lossFn)
  if (invalid !== undefined) return `${invalid.path} ${invalid.reason}`
  if (!ModelInput.isText(given.model_input)) return "model_input has chunks that are not text"
  const tokens = ModelInput.toTokens(given.model_input)
  const badToken = tokens.findIndex((token) => token < 0 || token >= vocabSize)
  if (badToken >= 0) return `model_input: token ${badToken} ${outsideVocabulary(tokens[badToken], vocabSize)}`
  return lossInputsProblem(Datum.toDense(given), lossFn, vocabSize)
}

/**
 * Prepares a datum for a loss function that `losses.problem` accepts. On the left is why the datum is invalid,
 * beginning with the path of the field.
 *
 * @internal
 */
export const prepare = (
  given: Datum.Datum,
  lossFn: string,
  config: LossFn.LossFnConfig,
  vocabSize: number
): Either.Either<PreparedDatum, string> => {
  const completed = complete(given, lossFn)
  const invalid = problem(completed, lossFn, vocabSize)
  if (invalid !== undefined) return Either.left(invalid)
  const datum = Datum.toDense(completed)
  const target = datum.loss_fn_inputs["target_tokens"]!
  return Either.right({
    tokens: ModelInput.toTokens(datum.model_input),
    targetsPerPosition: TensorData.shapeOf(target)[1] ?? 1,
    targetTokens: toInt32(target.data),
    loss: lossOf(datum, lossFn, config)
  })
}
