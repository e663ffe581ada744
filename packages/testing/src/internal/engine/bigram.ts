/** The training of a bigram language model: losses and gradients, and AdamW steps. */
import type * as Datum from "@effect-tinker/api/Datum"
import type * as LossFn from "@effect-tinker/api/LossFn"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as TensorData from "@effect-tinker/api/TensorData"
import type * as Training from "@effect-tinker/api/Training"
import { logprobsAfter, type Table } from "./distribution.ts"

/** The state of AdamW. @internal */
export interface Adam {
  step: number
  readonly first: Float32Array
  readonly second: Float32Array
}

/** The loss of one token. */
interface Term {
  readonly loss: number
  /** the derivative of the loss by the logprob of the target */
  readonly lossGrad: number
}

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high)

/** `sequenceRatio` is the geometric mean of the ratios in `sequence_ratio_mask`; 1 for losses that have none. */
type TermOf = (
  logprob: number,
  at: (input: string) => number,
  config: LossFn.LossFnConfig,
  sequenceRatio: number
) => Term

/** The smaller of a ratio times the advantage, clipped or not, negated. */
const clippedTerm = (
  ratio: number,
  advantage: number,
  config: LossFn.LossFnConfig,
  [low, high]: readonly [number, number]
): Term => {
  const clippedRatio = clamp(ratio, config["clip_low_threshold"] ?? low, config["clip_high_threshold"] ?? high)
  const unclipped = ratio * advantage
  const clipped = clippedRatio * advantage
  return unclipped <= clipped ? { loss: -unclipped, lossGrad: -unclipped } : { loss: -clipped, lossGrad: 0 }
}

const terms = {
  cross_entropy: (logprob, at) => ({ loss: -logprob * at("weights"), lossGrad: -at("weights") }),
  importance_sampling: (logprob, at) => {
    const loss = -Math.exp(logprob - at("logprobs")) * at("advantages")
    return { loss, lossGrad: loss }
  },
  ppo: (logprob, at, config) => clippedTerm(Math.exp(logprob - at("logprobs")), at("advantages"), config, [0.8, 1.2]),
  gspo: (_, at, config, sequenceRatio) => clippedTerm(sequenceRatio, at("advantages"), config, [1 - 3e-4, 1 + 4e-4]),
  stable_reinforce: (logprob, at, config) => {
    const kl = config["kl_coeff"] ?? 0
    const gap = logprob - at("logprobs")
    const weight = Math.min(Math.exp(gap), 1) * at("advantages")
    const sampled = at("sampled_mask")
    return { loss: sampled * (0.5 * kl * gap * gap - weight * logprob), lossGrad: sampled * (kl * gap - weight) }
  },
  cispo: (logprob, at, config) => {
    const ratio = Math.exp(logprob - at("logprobs"))
    const low = config["clip_low_threshold"] ?? 0
    const high = config["clip_high_threshold"] ?? 4
    const lossGrad = -clamp(ratio, low, high) * at("advantages")
    return { loss: lossGrad * logprob, lossGrad }
  },
  dro: (logprob, at, config) => {
    const beta = config["beta"] ?? 0.01
    const gap = logprob - at("logprobs")
    return {
      loss: -(logprob * at("advantages") - 0.5 * beta * gap * gap),
      lossGrad: -(at("advantages") - beta * gap)
    }
  }
} satisfies { readonly [name in LossFn.KnownLossFn]?: TermOf }

/** A loss function of the test engine. @internal */
export type Loss = keyof typeof terms

/** The loss functions of the test engine. @internal */
export const losses: ReadonlyArray<string> = Object.keys(terms)

const sequenceRatioOf = ({ loss_fn_inputs }: Datum.Datum, logprobs: Float32Array): number => {
  const mask = loss_fn_inputs["sequence_ratio_mask"]?.data ?? []
  const q = loss_fn_inputs["logprobs"]?.data ?? []
  const masked = Array.from(logprobs, (p, i) => p - Number(q[i])).filter((_, i) => Number(mask[i] ?? 0) !== 0)
  return Math.exp(masked.reduce((sum, x) => sum + x, 0) / Math.max(1, masked.length))
}

/** @internal */
export const isLoss = (name: string): name is Loss => Object.hasOwn(terms, name)

/** Computes the loss of the data. The gradient is added to `gradient`, unless that is `undefined`. @internal */
export const pass = (
  table: Table,
  data: ReadonlyArray<Datum.Datum>,
  lossFn: Loss,
  config: LossFn.LossFnConfig,
  gradient: Float32Array | undefined
): Training.ForwardBackwardOutput => {
  const { size } = table
  let loss = 0
  const outputs = data.map((datum) => {
    const tokens = ModelInput.toTokens(datum.model_input)
    const targets = datum.loss_fn_inputs["target_tokens"]!.data
    const rows = Array.from(tokens, (token) => logprobsAfter(table, token))
    const logprobs = Float32Array.from(rows, (row, i) => row[Number(targets[i])]!)
    const sequenceRatio = lossFn === "gspo" ? sequenceRatioOf(datum, logprobs) : 1
    for (let i = 0; i < tokens.length; i++) {
      const previous = tokens[i]!
      const target = Number(targets[i])
      const row = rows[i]!
      // only weights may be left out
      const at = (input: string) => Number(datum.loss_fn_inputs[input]?.data[i] ?? 1)
      const term = (terms[lossFn] as TermOf)(row[target]!, at, config, sequenceRatio)
      loss += term.loss
      if (gradient !== undefined && term.lossGrad !== 0) {
        for (let next = 0; next < size; next++) {
          const index = previous * size + next
          const logitGrad = (next === target ? 1 : 0) - Math.exp(row[next]!)
          gradient[index] = gradient[index]! + term.lossGrad * logitGrad
        }
      }
    }
    const tensor: TensorData.TensorData = { dtype: "float32", data: logprobs, shape: [logprobs.length] }
    return { logprobs: tensor }
  })
  return { loss_fn_output_type: "logprobs", loss_fn_outputs: outputs, metrics: { "loss:sum": loss } }
}

/** One step of AdamW. Returns the norm of the gradient before clipping. @internal */
export const adamStep = (table: Table, gradient: Float32Array, adam: Adam, params: Training.AdamParams): number => {
  const { beta1, beta2, eps, grad_clip_norm, learning_rate, weight_decay } = params
  let squares = 0
  for (const g of gradient) squares += g * g
  const norm = Math.sqrt(squares)
  const scale = grad_clip_norm > 0 && norm > grad_clip_norm ? grad_clip_norm / norm : 1
  adam.step += 1
  const correction1 = 1 - beta1 ** adam.step
  const correction2 = 1 - beta2 ** adam.step
  const { values } = table
  for (let i = 0; i < values.length; i++) {
    const g = gradient[i]! * scale
    const first = (adam.first[i] = beta1 * adam.first[i]! + (1 - beta1) * g)
    const second = (adam.second[i] = beta2 * adam.second[i]! + (1 - beta2) * g * g)
    const step = first / correction1 / (Math.sqrt(second / correction2) + eps)
    values[i] = values[i]! - learning_rate * (step + weight_decay * values[i]!)
  }
  return norm
}
