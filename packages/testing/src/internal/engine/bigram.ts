/** A bigram language model: losses and gradients, AdamW steps, and sampling. */
import type * as Datum from "@effect-tinker/api/Datum"
import type * as LossFn from "@effect-tinker/api/LossFn"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as TensorData from "@effect-tinker/api/TensorData"
import type * as Training from "@effect-tinker/api/Training"

/**
 * The weights of an adapter, `[size, size]`: added to the base model's logit of each next token (column) after each
 * token (row).
 *
 * @internal
 */
export interface Table {
  readonly size: number
  readonly values: Float32Array
}

/** The state of AdamW. @internal */
export interface Adam {
  step: number
  readonly first: Float32Array
  readonly second: Float32Array
}

/** The logits of the base model: a fixed number in [-0.5, 0.5) for each pair of tokens. */
const baseLogit = (previous: number, next: number): number => {
  let hash = Math.imul(previous + 1, 0x9e3779b1) ^ Math.imul(next + 1, 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32 - 0.5
}

/** The logprobs of all next tokens. */
const logprobsAfter = ({ size, values }: Table, previous: number, temperature = 1): Float64Array => {
  const out = new Float64Array(size)
  let max = -Infinity
  for (let next = 0; next < size; next++) {
    const logit = (baseLogit(previous, next) + values[previous * size + next]!) / temperature
    out[next] = logit
    if (logit > max) max = logit
  }
  let sum = 0
  for (let next = 0; next < size; next++) sum += Math.exp(out[next]! - max)
  const total = max + Math.log(sum)
  for (let next = 0; next < size; next++) out[next] = out[next]! - total
  return out
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

const mix = (value: number): number => {
  const hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  const next = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return next ^ (next >>> 16)
}

/** The seed of sequence `index` of a request: a hash, so that neighbouring seeds share no sequences. @internal */
export const streamSeed = (seed: number, index: number): number =>
  mix(mix(mix(seed | 0) + (Math.floor(seed / 2 ** 32) | 0)) + Math.imul(index + 1, 0x9e3779b1))

const generator = (seed: number) => {
  let state = seed | 0
  return (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const draw = (table: Table, previous: number, params: Sampling.SamplingParams, random: () => number): number => {
  const greedy = params.temperature === 0
  const tempered = logprobsAfter(table, previous, greedy ? 1 : params.temperature)
  const ranked = Array.from(tempered, (logprob, token) => ({ token, p: Math.exp(logprob) })).sort((a, b) => b.p - a.p)
  if (greedy) return ranked[0]!.token
  const top = params.top_k > 0 ? ranked.slice(0, params.top_k) : ranked
  const kept: typeof top = []
  let mass = 0
  const total = top.reduce((sum, { p }) => sum + p, 0)
  for (const candidate of top) {
    if (kept.length > 0 && mass / total >= params.top_p) break
    kept.push(candidate)
    mass += candidate.p
  }
  let left = random() * mass
  for (const { p, token } of kept) {
    left -= p
    if (left < 0) return token
  }
  return kept[kept.length - 1]!.token
}

/** The text of tokens: one character each. */
const textOf = (tokens: ReadonlyArray<number>): string => String.fromCodePoint(...tokens)

const isStopped = (tokens: ReadonlyArray<number>, stop: Sampling.SamplingParams["stop"]): boolean => {
  if (stop === undefined) return false
  const stops: ReadonlyArray<string | number> = typeof stop === "string" ? [stop] : stop
  return stops.some((s) => (typeof s === "number" ? tokens[tokens.length - 1] === s : textOf(tokens).includes(s)))
}

/** Samples one sequence. @internal */
export const sample = (
  table: Table,
  prompt: Int32Array,
  params: Sampling.SamplingParams,
  maxTokens: number,
  seed: number,
  topCount: number
): Sampling.SampledSequence => {
  const random = generator(seed)
  const tokens: Array<number> = []
  const logprobs: Array<number> = []
  const topk: Array<ReadonlyArray<readonly [number, number]>> = []
  let previous = prompt[prompt.length - 1]!
  let stopped = false
  while (!stopped && tokens.length < maxTokens) {
    const next = draw(table, previous, params, random)
    const row = logprobsAfter(table, previous)
    logprobs.push(row[next]!)
    if (topCount > 0) topk.push(topTokens(row, topCount))
    tokens.push(next)
    previous = next
    stopped = isStopped(tokens, params.stop)
  }
  return {
    stop_reason: stopped ? "stop" : "length",
    tokens: Int32Array.from(tokens),
    logprobs: Float32Array.from(logprobs),
    ...(topCount > 0 ? { topk_logprobs: topk } : {})
  }
}

const topTokens = (row: Float64Array, k: number): ReadonlyArray<readonly [number, number]> =>
  Array.from(row, (logprob, token) => [token, logprob] as const)
    .sort((a, b) => b[1] - a[1])
    .slice(0, k)

/** The logprobs of the last `lastN` tokens of the prompt, and the `k` most likely tokens in their place. @internal */
export const promptLogprobs = (
  table: Table,
  prompt: Int32Array,
  k: number,
  lastN: number
): {
  readonly logprobs: Float32Array
  readonly top: ReadonlyArray<ReadonlyArray<readonly [number, number]> | null>
} => {
  const logprobs = new Float32Array(prompt.length).fill(Number.NaN)
  const top: Array<ReadonlyArray<readonly [number, number]> | null> = Array.from(prompt, () => null)
  for (let i = Math.max(1, prompt.length - lastN); i < prompt.length; i++) {
    const row = logprobsAfter(table, prompt[i - 1]!)
    logprobs[i] = row[prompt[i]!]!
    top[i] = topTokens(row, k)
  }
  return { logprobs, top }
}

/** The logprob of a token at a position of the prompt from 1 on. @internal */
export const logprobAt = (table: Table, prompt: Int32Array, position: number, token: number): number =>
  logprobsAfter(table, prompt[position - 1]!)[token]!

/** `k` tokens drawn at each position of the prompt but the first. @internal */
export const alternatives = (
  table: Table,
  prompt: Int32Array,
  k: number,
  temperature: number,
  seed: number
): Sampling.PromptAltTokens => {
  const shape = [prompt.length - 1, k]
  const tokens = new Int32Array(shape[0]! * k)
  const logprobs = new Float32Array(tokens.length)
  // numbers of sequences are not below 0, so that no sequence has the same stream
  const random = generator(streamSeed(seed, -2))
  for (let i = 0; i < tokens.length; i++) {
    const previous = prompt[Math.floor(i / k)]!
    tokens[i] = draw(table, previous, { temperature, top_k: -1, top_p: 1 }, random)
    logprobs[i] = logprobsAfter(table, previous)[tokens[i]!]!
  }
  return { tokens: { dtype: "int64", data: tokens, shape }, logprobs: { dtype: "float32", data: logprobs, shape } }
}
