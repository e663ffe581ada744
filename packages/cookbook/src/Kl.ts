/**
 * How far one distribution is from another, estimated from tokens that were sampled from the first. With `q` the logprob of
 * a sampled token when it was sampled, and `p` its logprob under the other model:
 *
 * | | per token | |
 * |---|---|---|
 * | `k1` | `q - p` | unbiased, may be negative |
 * | `k2` | `(q - p)² / 2` | biased, never negative |
 * | `k3` | `exp(p - q) - 1 + (q - p)` | unbiased, never negative |
 *
 * @since 0.1.0
 */

/**
 * Means over the tokens with mask 1, in nats a token.
 *
 * @since 0.1.0
 * @category models
 */
export interface Estimate {
  readonly k1: number
  readonly k2: number
  readonly k3: number
  /** the mean of `-q`, which estimates the entropy of the distribution that was sampled from */
  readonly entropy: number
  /** the largest absolute difference of a token */
  readonly max: number
  /** the number of tokens */
  readonly tokens: number
}

/**
 * The logprobs of one sequence under both models, position by position; those with mask 0 are left out.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pair {
  readonly sampled: ArrayLike<number>
  readonly other: ArrayLike<number>
  readonly mask: ArrayLike<number>
}

/**
 * The estimate over all sequences. Without a token, all numbers are 0.
 *
 * @throws RangeError when the lengths of a pair differ.
 * @since 0.1.0
 * @category constructors
 */
export const estimate = (pairs: ReadonlyArray<Pair>): Estimate => {
  const sum = { k1: 0, k2: 0, k3: 0, entropy: 0, max: 0, tokens: 0 }
  for (const [i, { mask, other, sampled }] of pairs.entries()) {
    if (other.length !== sampled.length || mask.length !== sampled.length) {
      throw new RangeError(`pair ${i} has ${sampled.length}, ${other.length} and ${mask.length} positions`)
    }
    for (let at = 0; at < sampled.length; at++) {
      if (!(mask[at]! > 0)) continue
      const difference = sampled[at]! - other[at]!
      sum.k1 += difference
      sum.k2 += difference ** 2 / 2
      sum.k3 += Math.expm1(-difference) + difference
      sum.entropy -= sampled[at]!
      sum.max = Math.max(sum.max, Math.abs(difference))
      sum.tokens++
    }
  }
  const count = Math.max(1, sum.tokens)
  return {
    k1: sum.k1 / count,
    k2: sum.k2 / count,
    k3: sum.k3 / count,
    entropy: sum.entropy / count,
    max: sum.max,
    tokens: sum.tokens
  }
}
