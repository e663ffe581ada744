import * as Datum from "@effect-tinker/api/Datum"
import type * as LossFn from "@effect-tinker/api/LossFn"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as Either from "effect/Either"
import type { slopeInputs } from "../model/transformer.ts"

/**
 * The losses, each a sum over positions and targets. With `p` the target's logprob, `q` the one given, `A` the
 * advantage and `r = exp(p - q)`:
 *
 * - cross_entropy: `-w p`
 * - importance_sampling: `-A r`
 * - ppo: `-min(A r, A clip(r))`
 * - cispo: `-A clip(r) p`, where `clip(r)` is taken as a constant
 * - dro: `-(A p - beta/2 (p - q)^2)`
 *
 * A loss is computed here from logprobs. For the gradient the traced program needs its slope by `p`, and gets it as the
 * coefficients of one formula that covers all of them:
 *
 * `linear + clipped clip(r, low, high) + gated r [low <= r <= high] + pulled (p - q)`
 */

/** @internal */
export type SlopeInput = (typeof slopeInputs)[number]

/** A datum made ready: `targets` values per position, row-major. @internal */
export interface Prepared {
  readonly tokens: Int32Array
  readonly targets: number
  readonly targetTokens: Int32Array
  /** what is absent is `absent[name]` everywhere */
  readonly slope: { readonly [name in SlopeInput]?: Float32Array }
  readonly lossOf: (logprobs: Float32Array) => Float32Array
}

/** Slope inputs where a datum has none, as at padding: then the slope is 0. @internal */
export const absent: { readonly [name in SlopeInput]: number } = {
  linear: 0,
  clipped: 0,
  gated: 0,
  pulled: 0,
  low: 0,
  high: 3.4e38,
  old: 0
}

/** The loss functions on offer. @internal */
export const names = ["cross_entropy", "importance_sampling", "ppo", "cispo", "dro"] as const

type Name = (typeof names)[number]

const configKeys: { readonly [name in Name]: ReadonlyArray<string> } = {
  cross_entropy: [],
  importance_sampling: [],
  ppo: ["clip_low_threshold", "clip_high_threshold"],
  cispo: ["clip_low_threshold", "clip_high_threshold"],
  dro: ["beta"]
}

/** What keeps a loss function from being used with a config. @internal */
export const problem = (lossFn: string, config: LossFn.LossFnConfig): string | undefined => {
  const name = names.find((name) => name === lossFn)
  if (name === undefined) return `the loss function ${lossFn} is not on offer: there are ${names.join(", ")}`
  const unknown = Object.keys(config).find((key) => !configKeys[name].includes(key))
  if (unknown === undefined) return undefined
  const known = configKeys[name]
  return `loss_fn_config has ${unknown}, but ${name} takes ${known.length === 0 ? "none" : known.join(", ")}`
}

const map = (length: number, f: (index: number) => number): Float32Array => {
  const out = new Float32Array(length)
  for (let i = 0; i < length; i++) out[i] = f(i)
  return out
}

const crossEntropy = (weights: Float32Array): Pick<Prepared, "lossOf" | "slope"> => ({
  slope: { linear: map(weights.length, (i) => -weights[i]!) },
  // a weight of 0 leaves nothing, even of a logprob that is not finite
  lossOf: (p) => map(p.length, (i) => (weights[i] === 0 ? 0 : -weights[i]! * p[i]!))
})

interface Policy {
  readonly old: Float32Array
  readonly advantages: Float32Array
  readonly bound: (name: "low" | "high", fallback: number) => Float32Array
  readonly beta: number
}

const clip = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high)

const policyLoss = (lossFn: string, policy: Policy): Pick<Prepared, "lossOf" | "slope"> => {
  const { advantages, beta, bound } = policy
  const length = advantages.length
  const negative = map(length, (i) => -advantages[i]!)
  // without an advantage nothing depends on the ratio, which might overflow: let it be taken against 0 there
  const old = map(length, (i) => (lossFn !== "dro" && advantages[i] === 0 ? 0 : policy.old[i]!))
  const perToken =
    (value: (ratio: number, advantage: number, logprob: number, i: number) => number) => (p: Float32Array) =>
      map(p.length, (i) => (advantages[i] === 0 ? 0 : value(Math.exp(p[i]! - old[i]!), advantages[i]!, p[i]!, i)))
  switch (lossFn) {
    case "importance_sampling":
      return { slope: { clipped: negative, old }, lossOf: perToken((ratio, advantage) => -advantage * ratio) }
    case "ppo": {
      const low = bound("low", 0.8)
      const high = bound("high", 1.2)
      return {
        slope: {
          gated: negative,
          old,
          // the minimum clips from one side alone, which side being up to the sign of the advantage
          low: map(length, (i) => (advantages[i]! < 0 ? low[i]! : absent.low)),
          high: map(length, (i) => (advantages[i]! < 0 ? absent.high : high[i]!))
        },
        lossOf: perToken(
          (ratio, advantage, _, i) => -Math.min(ratio * advantage, clip(ratio, low[i]!, high[i]!) * advantage)
        )
      }
    }
    case "cispo": {
      const low = bound("low", 0)
      const high = bound("high", 4)
      return {
        slope: { clipped: negative, old, low, high },
        lossOf: perToken((ratio, advantage, logprob, i) => -clip(ratio, low[i]!, high[i]!) * advantage * logprob)
      }
    }
    default:
      return {
        slope: { linear: negative, pulled: new Float32Array(length).fill(beta), old },
        lossOf: (p) => map(length, (i) => 0.5 * beta * (p[i]! - old[i]!) ** 2 - p[i]! * advantages[i]!)
      }
  }
}

const withWeights = (datum: Datum.Datum): Datum.Datum => {
  const targets = datum.loss_fn_inputs["target_tokens"]
  if (targets === undefined || Object.hasOwn(datum.loss_fn_inputs, "weights")) return datum
  const weights: TensorData.TensorData = {
    ...targets,
    dtype: "float32",
    data: new Float32Array(targets.data.length).fill(1)
  }
  return { ...datum, loss_fn_inputs: { ...datum.loss_fn_inputs, weights } }
}

const int32 = (data: Int32Array | BigInt64Array | Float32Array): Int32Array =>
  data instanceof Int32Array ? data : Int32Array.from(data as ArrayLike<number | bigint>, Number)

/**
 * A datum checked and made ready for a loss function that `problem` does not object to; on the left what is wrong with
 * it, beginning with the path of the field.
 *
 * @internal
 */
export const prepare = (
  given: Datum.Datum,
  lossFn: string,
  config: LossFn.LossFnConfig,
  vocabulary: number
): Either.Either<Prepared, string> => {
  const complete = lossFn === "cross_entropy" ? withWeights(given) : given
  const wrong = Datum.problem(complete, lossFn)
  if (wrong !== undefined) return Either.left(`${wrong.path} ${wrong.reason}`)
  const datum = Datum.toDense(complete)
  if (!ModelInput.isText(datum.model_input)) return Either.left("model_input has chunks that are not text")
  const tokens = ModelInput.toTokens(datum.model_input)
  const badToken = tokens.findIndex((token) => token < 0 || token >= vocabulary)
  const unknown = (token: unknown) => `is ${String(token)}, but the vocabulary has ${vocabulary} tokens`
  if (badToken >= 0) return Either.left(`model_input: token ${badToken} ${unknown(tokens[badToken])}`)

  const inputs = datum.loss_fn_inputs
  const target = inputs["target_tokens"]!
  const shape = TensorData.shapeOf(target)
  if (shape.length > 2 || (shape.length === 2 && (lossFn !== "cross_entropy" || shape[1] === 0))) {
    return Either.left(
      `loss_fn_inputs.target_tokens has the shape [${shape.join(", ")}], which ${lossFn} does not take`
    )
  }
  const badTarget = target.data.findIndex((token: number | bigint) => token < 0 || token >= vocabulary)
  if (badTarget >= 0)
    return Either.left(`loss_fn_inputs.target_tokens[${badTarget}] ${unknown(target.data[badTarget])}`)
  for (const [name, tensor] of Object.entries(inputs)) {
    const used = ["weights", "logprobs", "advantages", "clip_low_threshold", "clip_high_threshold"].includes(name)
    if (!used || (tensor.data.length === target.data.length && TensorData.shapeOf(tensor).length === shape.length)) {
      continue
    }
    return Either.left(
      `loss_fn_inputs.${name} has the shape [${TensorData.shapeOf(tensor).join(", ")}], but target_tokens ` +
        `[${shape.join(", ")}]: they must be equal`
    )
  }
  const floats = (name: string) => Float32Array.from(inputs[name]!.data as ArrayLike<number | bigint>, Number)
  const bound = (side: "low" | "high", fallback: number): Float32Array => {
    const name = `clip_${side}_threshold`
    return Object.hasOwn(inputs, name)
      ? floats(name)
      : new Float32Array(target.data.length).fill(config[name] ?? fallback)
  }
  const loss =
    lossFn === "cross_entropy"
      ? crossEntropy(floats("weights"))
      : policyLoss(lossFn, {
          old: floats("logprobs"),
          advantages: floats("advantages"),
          bound,
          beta: config["beta"] ?? 0.05
        })
  return Either.right({ tokens, targets: shape[1] ?? 1, targetTokens: int32(target.data), ...loss })
}
