/** The distribution over the next token: logprobs, and sampling with temperature, top-k and top-p. */
import * as random from "../util/random.ts"
import * as selection from "./selection.ts"

/** The logprobs of all tokens from the logits of one position, in double precision. @internal */
export const logprobs = (logits: Float32Array): Float64Array => {
  let max = -Infinity
  for (let i = 0; i < logits.length; i++) if (logits[i]! > max) max = logits[i]!
  let sumExp = 0
  for (let i = 0; i < logits.length; i++) sumExp += Math.exp(logits[i]! - max)
  const logSumExp = max + Math.log(sumExp)
  const out = new Float64Array(logits.length)
  for (let i = 0; i < logits.length; i++) out[i] = logits[i]! - logSumExp
  return out
}

/** The most likely tokens with their logprobs, in descending order; ties by token id. @internal */
export const topTokens = (logprobs: Float64Array, count: number): Array<readonly [token: number, logprob: number]> =>
  selection.largest(logprobs, count).map((token) => [token, logprobs[token]!] as const)

/** @internal */
export interface SamplingOptions {
  /** 0 always takes the most likely token */
  readonly temperature: number
  /** the number of most likely tokens to sample from; all, if it is below 1 */
  readonly topK: number
  /** sample from the most likely tokens whose probabilities add up to this */
  readonly topP: number
}

interface SampledToken {
  readonly token: number
  /** of the model's distribution, before temperature, top-k and top-p */
  readonly logprob: number
}

/** Writes `exp((logit - max) / temperature)` to `out`, and returns the sum. */
const exponentials = (logits: Float32Array, max: number, temperature: number, out: Float64Array): number => {
  let sum = 0
  for (let i = 0; i < logits.length; i++) {
    const weight = Math.exp((logits[i]! - max) / temperature)
    out[i] = weight
    sum += weight
  }
  return sum
}

/** The index among the first `count` weights, whose sum is `sum`, at which the cumulative share exceeds `uniform`. */
const indexAt = (weights: Float64Array, count: number, sum: number, uniform: number): number => {
  let rest = uniform * sum
  for (let i = 0; i < count - 1; i++) {
    rest -= weights[i]!
    if (rest < 0) return i
  }
  return count - 1
}

/** The indices of the weights that may matter: even all others together weigh less than what top-p cuts off. */
const candidates = (weights: Float64Array, minimum: number): Uint32Array => {
  const found = new Uint32Array(weights.length)
  let count = 0
  for (let i = 0; i < weights.length; i++) if (weights[i]! >= minimum) found[count++] = i
  return found.subarray(0, count)
}

/**
 * Samples among the most likely tokens: top-k applies first, then top-p to the remaining tokens. The token is the one at
 * which the cumulative weight exceeds a share, in descending order.
 *
 * @internal
 */
export const sampleFiltered = (
  weights: Float64Array,
  sum: number,
  { topK, topP }: Pick<SamplingOptions, "topK" | "topP">,
  uniform: number
): number => {
  const size = weights.length
  const hasTopK = topK >= 1 && topK < size
  let kept = candidates(weights, hasTopK ? 0 : ((1 - topP) * sum * (1 - 1e-9)) / size)
  let total = sum
  if (hasTopK) {
    const last = selection.find(weights, kept, undefined, (count) => count >= topK)
    kept = selection.upTo(weights, kept, last)
    total = kept.reduce((total, index) => total + weights[index]!, 0)
  }
  if (topP < 1) {
    const bound = topP * total
    const last = selection.find(weights, kept, weights, (sum) => sum >= bound)
    kept = selection.upTo(weights, kept, last)
    total = last.sum
  }
  const target = uniform * total
  return selection.find(weights, kept, weights, (sum) => sum > target).index
}

/**
 * Samples a token by the random number at an index of a stream. Temperature applies first, then top-k, then top-p.
 * `weights` is scratch memory of the size of the vocabulary.
 *
 * @internal
 */
export const sampleToken = (
  logits: Float32Array,
  options: SamplingOptions,
  key: number,
  index: number,
  weights = new Float64Array(logits.length)
): SampledToken => {
  const { temperature, topK, topP } = options
  const size = logits.length
  let best = 0
  for (let i = 1; i < size; i++) if (logits[i]! > logits[best]!) best = i
  const max = logits[best]!
  const sumExp = exponentials(logits, max, 1, weights)
  const sampled = (token: number): SampledToken => ({ token, logprob: logits[token]! - max - Math.log(sumExp) })
  if (temperature === 0 || Number.isNaN(sumExp)) return sampled(best)
  const sum = temperature === 1 ? sumExp : exponentials(logits, max, temperature, weights)
  const uniform = random.uniform(key, index)
  const isFiltered = (topK >= 1 && topK < size) || topP < 1
  return sampled(isFiltered ? sampleFiltered(weights, sum, options, uniform) : indexAt(weights, size, sum, uniform))
}
