import * as random from "../util/random.ts"

/** The logprobs of all tokens from one position's logits, in double precision. @internal */
export const logprobs = (logits: Float32Array): Float64Array => {
  let top = -Infinity
  for (let i = 0; i < logits.length; i++) if (logits[i]! > top) top = logits[i]!
  let sum = 0
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - top)
  const total = top + Math.log(sum)
  const out = new Float64Array(logits.length)
  for (let i = 0; i < logits.length; i++) out[i] = logits[i]! - total
  return out
}

/** The places of the largest values, the largest first, the lower place first among equals. */
const largest = (values: Float64Array, count: number, atLeast = -Infinity): Array<number> => {
  // few places are sorted by hand, and all the values as numbers alone, which is fast
  const least = count < values.length ? Math.max(values.slice().sort()[values.length - count]!, atLeast) : atLeast
  const places: Array<number> = []
  for (let i = 0; i < values.length; i++) if (values[i]! >= least) places.push(i)
  return places.sort((a, b) => values[b]! - values[a]! || a - b).slice(0, count)
}

/** The most likely tokens with their logprobs, the likeliest first, the lower id first among equals. @internal */
export const top = (logprobs: Float64Array, count: number): Array<readonly [token: number, logprob: number]> =>
  largest(logprobs, count).map((token) => [token, logprobs[token]!] as const)

/** @internal */
export interface Choice {
  /** 0 takes the likeliest token */
  readonly temperature: number
  /** how many of the likeliest tokens may be chosen; below 1, all */
  readonly topK: number
  /** tokens may be chosen while the likelier ones have less than this probability together */
  readonly topP: number
}

/** @internal */
export interface Drawn {
  readonly token: number
  /** of the model's own distribution, before temperature, `topK` and `topP` */
  readonly logprob: number
}

/** Writes exp((logit - most) / temperature) of all, and gives the sum. */
const weigh = (logits: Float32Array, most: number, temperature: number, out: Float64Array): number => {
  let sum = 0
  for (let i = 0; i < logits.length; i++) {
    const weight = Math.exp((logits[i]! - most) / temperature)
    out[i] = weight
    sum += weight
  }
  return sum
}

/** A place by its share of the weights of the first `count` places. */
const pick = (weights: Float64Array, count: number, sum: number, random: number): number => {
  let rest = random * sum
  for (let i = 0; i < count - 1; i++) {
    rest -= weights[i]!
    if (rest < 0) return i
  }
  return count - 1
}

/**
 * A token by the random number at a place. The temperature comes first, then `topK`, then `topP`. `weights` is written
 * over; one array may serve for many.
 *
 * @internal
 */
export const draw = (
  logits: Float32Array,
  choice: Choice,
  key: number,
  index: number,
  weights = new Float64Array(logits.length)
): Drawn => {
  const { temperature, topK, topP } = choice
  const size = logits.length
  let best = 0
  for (let i = 1; i < size; i++) if (logits[i]! > logits[best]!) best = i
  const most = logits[best]!
  const total = weigh(logits, most, 1, weights)
  const drawn = (token: number): Drawn => ({ token, logprob: logits[token]! - most - Math.log(total) })
  if (temperature === 0 || Number.isNaN(total)) return drawn(best)

  const whole = temperature === 1 ? total : weigh(logits, most, temperature, weights)
  const limited = topK >= 1 && topK < size
  const number = random.uniform(key, index)
  if (!limited && topP >= 1) return drawn(pick(weights, size, whole, number))

  // all that weigh less than this together weigh less than topP leaves out
  const negligible = limited ? 0 : ((1 - topP) * whole * (1 - 1e-9)) / size
  const order = largest(weights, limited ? topK : size, negligible)
  const kept = Float64Array.from(order, (token) => weights[token]!)
  let count = kept.length
  if (topP < 1) {
    const bound = topP * (limited ? kept.reduce((sum, weight) => sum + weight, 0) : whole)
    let before = 0
    for (count = 0; count < kept.length && (count === 0 || before < bound); count++) before += kept[count]!
  }
  const sum = kept.subarray(0, count).reduce((sum, weight) => sum + weight, 0)
  return drawn(order[pick(kept, count, sum, number)]!)
}
