/**
 * The losses, each a sum over positions and targets. `p` is the logprob of the target, `q` its logprob when it was
 * sampled, `A` the advantage and `r = exp(p - q)`:
 *
 * - cross_entropy: `-weight * p`
 * - importance_sampling: `-A * r`
 * - ppo: `-min(A * r, A * clip(r))`
 * - cispo: `-A * clip(r) * p`, where `clip(r)` is not differentiated
 * - dro: `-(A * p - beta / 2 * (p - q)^2)`
 * - gspo: `-min(A * s, A * clip(s))`, where `s` is the geometric mean of `r` over the positions in `sequence_ratio_mask`.
 *   Its derivative by `p` is that of GSPO-token: `s` counts as `r` times a constant.
 * - stable_reinforce: `-A * min(r, 1) * p + kl_coeff / 2 * (p - q)^2` at sampled positions, where `min(r, 1)` is not
 *   differentiated
 */
import type * as LossFn from "@effect-tinker/api/LossFn"
import * as lossGrad from "./lossGrad.ts"

/** The supported loss functions. @internal */
export const names = [
  "cross_entropy",
  "importance_sampling",
  "ppo",
  "cispo",
  "dro",
  "gspo",
  "stable_reinforce"
] as const

type Name = (typeof names)[number]

/** A loss of one datum: its value as a function of the target logprobs, and its derivative. @internal */
export interface Loss {
  /** the loss of each target */
  readonly elementwise: (logprobs: Float32Array) => Float32Array
  /** a function of the target logprobs, where the derivative at a target depends on those of the others */
  readonly grad: lossGrad.LossGrad | ((logprobs: Float32Array) => lossGrad.LossGrad)
}

const configKeys: { readonly [name in Name]: ReadonlyArray<string> } = {
  cross_entropy: [],
  importance_sampling: [],
  ppo: ["clip_low_threshold", "clip_high_threshold"],
  cispo: ["clip_low_threshold", "clip_high_threshold"],
  dro: ["beta"],
  gspo: ["clip_low_threshold", "clip_high_threshold"],
  stable_reinforce: ["kl_coeff"]
}

/** Inputs that a loss needs here, besides those that every service needs. */
const ownInputs: { readonly [name in Name]?: ReadonlyArray<string> } = {
  // the service adds the first and the last, from what it recorded of the samples
  stable_reinforce: ["logprobs", "advantages", "sampled_mask"]
}

/** An input that a loss needs and a datum does not have. @internal */
export const missingInput = (lossFn: string, inputs: { readonly [name: string]: unknown }): string | undefined =>
  ownInputs[lossFn as Name]?.find((name) => !Object.hasOwn(inputs, name))

/** Why a loss function cannot be used with a config, or `undefined`. @internal */
export const problem = (lossFn: string, config: LossFn.LossFnConfig): string | undefined => {
  const name = names.find((name) => name === lossFn)
  if (name === undefined) return `the loss function ${lossFn} is not supported: supported are ${names.join(", ")}`
  const unknown = Object.keys(config).find((key) => !configKeys[name].includes(key))
  if (unknown === undefined) return undefined
  const known = configKeys[name]
  return `loss_fn_config has ${unknown}, but ${name} takes ${known.length === 0 ? "none" : known.join(", ")}`
}

const fromIndices = (length: number, f: (index: number) => number): Float32Array => {
  const out = new Float32Array(length)
  for (let i = 0; i < length; i++) out[i] = f(i)
  return out
}

/** @internal */
export const crossEntropy = (weights: Float32Array): Loss => ({
  grad: { constant: fromIndices(weights.length, (i) => -weights[i]!) },
  // a weight of 0 also applies to a logprob that is not finite
  elementwise: (p) => fromIndices(p.length, (i) => (weights[i] === 0 ? 0 : -weights[i]! * p[i]!))
})

/** The inputs of a policy-gradient loss, a value per target each. */
interface PolicyInputs {
  readonly samplingLogprobs: Float32Array
  readonly advantages: Float32Array
  /** the thresholds of the ratio: per token, or of the config, or the default of the loss */
  readonly threshold: (side: "low" | "high", fallback: number) => Float32Array
  readonly beta: number
  readonly klCoeff: number
  /** the positions of the tokens that were sampled, or of those over which a ratio is taken: 0 elsewhere */
  readonly mask: (name: "sampled_mask" | "sequence_ratio_mask") => Float32Array
}

const clip = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high)

/** A policy-gradient loss, with what the losses of the ratio share. */
class PolicyLoss {
  readonly inputs: PolicyInputs
  readonly length: number
  readonly negativeAdvantages: Float32Array
  /** Where the advantage is 0, a logprob of 0 keeps the ratio from overflowing. */
  readonly oldLogprobs: Float32Array

  constructor(inputs: PolicyInputs) {
    this.inputs = inputs
    this.length = inputs.advantages.length
    this.negativeAdvantages = fromIndices(this.length, (i) => -inputs.advantages[i]!)
    this.oldLogprobs = fromIndices(this.length, (i) => (inputs.advantages[i] === 0 ? 0 : inputs.samplingLogprobs[i]!))
  }

  /** The elementwise loss as a function of the ratio; 0 where the advantage is 0. */
  ofRatio(
    loss: (ratio: number, advantage: number, logprob: number, i: number) => number
  ): (logprobs: Float32Array) => Float32Array {
    const { advantages } = this.inputs
    const ratio = (p: Float32Array, i: number) => Math.exp(p[i]! - this.oldLogprobs[i]!)
    return (p) => fromIndices(p.length, (i) => (advantages[i] === 0 ? 0 : loss(ratio(p, i), advantages[i]!, p[i]!, i)))
  }
}

const importanceSampling = (inputs: PolicyInputs): Loss => {
  const policy = new PolicyLoss(inputs)
  return {
    grad: { clipped: policy.negativeAdvantages, old_logprobs: policy.oldLogprobs },
    elementwise: policy.ofRatio((ratio, advantage) => -advantage * ratio)
  }
}

const ppo = (inputs: PolicyInputs): Loss => {
  const policy = new PolicyLoss(inputs)
  const { advantages } = inputs
  const low = inputs.threshold("low", 0.8)
  const high = inputs.threshold("high", 1.2)
  return {
    grad: {
      gated: policy.negativeAdvantages,
      old_logprobs: policy.oldLogprobs,
      // the minimum clips the ratio on one side, which depends on the sign of the advantage
      low: fromIndices(policy.length, (i) => (advantages[i]! < 0 ? low[i]! : lossGrad.defaults.low)),
      high: fromIndices(policy.length, (i) => (advantages[i]! < 0 ? lossGrad.defaults.high : high[i]!))
    },
    elementwise: policy.ofRatio(
      (ratio, advantage, _, i) => -Math.min(ratio * advantage, clip(ratio, low[i]!, high[i]!) * advantage)
    )
  }
}

const cispo = (inputs: PolicyInputs): Loss => {
  const policy = new PolicyLoss(inputs)
  const low = inputs.threshold("low", 0)
  const high = inputs.threshold("high", 4)
  return {
    grad: { clipped: policy.negativeAdvantages, old_logprobs: policy.oldLogprobs, low, high },
    elementwise: policy.ofRatio((ratio, advantage, logprob, i) => -clip(ratio, low[i]!, high[i]!) * advantage * logprob)
  }
}

const dro = ({ advantages, beta, samplingLogprobs }: PolicyInputs): Loss => {
  const { length } = advantages
  return {
    grad: {
      constant: fromIndices(length, (i) => -advantages[i]!),
      quadratic: new Float32Array(length).fill(beta),
      old_logprobs: samplingLogprobs
    },
    elementwise: (p) =>
      fromIndices(length, (i) => 0.5 * beta * (p[i]! - samplingLogprobs[i]!) ** 2 - p[i]! * advantages[i]!)
  }
}

/** The ratio of a sequence: the geometric mean of the ratios in the mask; 1 if there are none. */
const sequenceRatio = (logprobs: Float32Array, samplingLogprobs: Float32Array, mask: Float32Array): number => {
  let sum = 0
  let count = 0
  for (let i = 0; i < logprobs.length; i++) {
    if (mask[i] === 0) continue
    sum += logprobs[i]! - samplingLogprobs[i]!
    count++
  }
  return count === 0 ? 1 : Math.exp(sum / count)
}

/** The paper's thresholds: `1 - 3e-4` and `1 + 4e-4`. */
const gspo = (inputs: PolicyInputs): Loss => {
  const { advantages, samplingLogprobs } = inputs
  const low = inputs.threshold("low", 1 - 3e-4)
  const high = inputs.threshold("high", 1 + 4e-4)
  const mask = inputs.mask("sequence_ratio_mask")
  const ratioOf = (logprobs: Float32Array) => sequenceRatio(logprobs, samplingLogprobs, mask)
  // the minimum takes the clipped ratio, which has no derivative, on the side of the advantage's sign
  const isClipped = (ratio: number, i: number) => (advantages[i]! < 0 ? ratio < low[i]! : ratio > high[i]!)
  return {
    grad: (logprobs) => {
      const ratio = ratioOf(logprobs)
      return {
        constant: fromIndices(advantages.length, (i) =>
          advantages[i] === 0 || isClipped(ratio, i) ? 0 : -advantages[i]! * ratio
        )
      }
    },
    elementwise: (logprobs) => {
      const ratio = ratioOf(logprobs)
      return fromIndices(advantages.length, (i) =>
        advantages[i] === 0 ? 0 : -advantages[i]! * (isClipped(ratio, i) ? clip(ratio, low[i]!, high[i]!) : ratio)
      )
    }
  }
}

const stableReinforce = ({ advantages, klCoeff, mask, samplingLogprobs }: PolicyInputs): Loss => {
  const { length } = advantages
  const sampled = mask("sampled_mask")
  return {
    grad: {
      clipped: fromIndices(length, (i) => (sampled[i] === 0 ? 0 : -advantages[i]!)),
      high: new Float32Array(length).fill(1),
      quadratic: fromIndices(length, (i) => (sampled[i] === 0 ? 0 : klCoeff)),
      old_logprobs: samplingLogprobs
    },
    elementwise: (p) =>
      fromIndices(length, (i) => {
        if (sampled[i] === 0) return 0
        const logRatio = p[i]! - samplingLogprobs[i]!
        return 0.5 * klCoeff * logRatio ** 2 - Math.min(Math.exp(logRatio), 1) * advantages[i]! * p[i]!
      })
  }
}

const policyLosses: { readonly [name in Exclude<Name, "cross_entropy">]: (inputs: PolicyInputs) => Loss } = {
  importance_sampling: importanceSampling,
  ppo,
  cispo,
  dro,
  gspo,
  stable_reinforce: stableReinforce
}

/** A policy-gradient loss by a name that `problem` accepts. @internal */
export const policyLoss = (name: string, inputs: PolicyInputs): Loss =>
  policyLosses[name as keyof typeof policyLosses](inputs)
