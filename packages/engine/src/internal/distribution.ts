import * as random from "./random.ts"

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

const descending = (values: Float64Array, count: number): Array<number> =>
  Array.from(values.keys())
    .sort((a, b) => values[b]! - values[a]! || a - b)
    .slice(0, count)

/** The most likely tokens with their logprobs, the likeliest first, the lower id first among equals. @internal */
export const top = (logprobs: Float64Array, count: number): Array<readonly [token: number, logprob: number]> =>
  descending(logprobs, count).map((token) => [token, logprobs[token]!] as const)

/** @internal */
export interface Choice {
  /** 0 takes the likeliest token */
  readonly temperature: number
  /** how many of the likeliest tokens may be chosen; below 1, all */
  readonly topK: number
  /** tokens may be chosen while the likelier ones have less than this probability together */
  readonly topP: number
}

const likeliest = (logprobs: Float64Array): number => {
  let best = 0
  for (let i = 1; i < logprobs.length; i++) if (logprobs[i]! > logprobs[best]!) best = i
  return best
}

/**
 * A token by the random number at a place. The temperature comes first, then `topK`, then `topP`.
 *
 * @internal
 */
export const choose = (logprobs: Float64Array, choice: Choice, key: number, index: number): number => {
  const { temperature, topK, topP } = choice
  if (temperature === 0) return likeliest(logprobs)
  const limited = topK >= 1 && topK < logprobs.length
  const filtered = limited || topP < 1
  const order = filtered ? descending(logprobs, limited ? topK : logprobs.length) : undefined
  const count = order?.length ?? logprobs.length
  const at = (i: number) => (order === undefined ? i : order[i]!)
  const weights = new Float64Array(count)
  const best = order === undefined ? likeliest(logprobs) : order[0]!
  let sum = 0
  for (let i = 0; i < count; i++) {
    weights[i] = Math.exp((logprobs[at(i)]! - logprobs[best]!) / temperature)
    sum += weights[i]!
  }
  let last = count - 1
  if (topP < 1) {
    const whole = sum
    let before = 0
    for (last = 0; last < count - 1; last++) {
      before += weights[last]!
      if (before >= topP * whole) break
    }
    sum = 0
    for (let i = 0; i <= last; i++) sum += weights[i]!
  }
  let rest = random.uniform(key, index) * sum
  for (let i = 0; i < last; i++) {
    rest -= weights[i]!
    if (rest < 0) return at(i)
  }
  return at(last)
}
