/**
 * What steps cost: tokens always, and money where the prices are known.
 *
 * @since 0.1.0
 */

/**
 * Tokens by what is charged for them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Usage {
  /** tokens of the passes that trained, with weight or without */
  readonly trained: number
  readonly sampled?: number | undefined
  readonly prefill_cached?: number | undefined
  readonly prefill_uncached?: number | undefined
}

/**
 * Prices in US dollars per million tokens.
 *
 * @since 0.1.0
 * @category models
 */
export interface Prices {
  readonly train: number
  readonly sample: number
  readonly prefill: number
  readonly cached_prefill: number
}

const kinds = ["trained", "sampled", "prefill_cached", "prefill_uncached"] as const

const priceOf: { readonly [kind in (typeof kinds)[number]]: keyof Prices } = {
  trained: "train",
  sampled: "sample",
  prefill_cached: "cached_prefill",
  prefill_uncached: "prefill"
}

/**
 * The cost of tokens in US dollars.
 *
 * @since 0.1.0
 * @category getters
 */
export const usd = (usage: Usage, prices: Prices): number =>
  kinds.reduce((sum, kind) => sum + ((usage[kind] ?? 0) * prices[priceOf[kind]]) / 1e6, 0)

/**
 * The rows of a step: `tokens/trained` and so on for each kind that occurs, `tokens/cumulative/trained` for the run until
 * now, and, where prices are given, `cost/step_usd` and `cost/cumulative_usd`. Evaluations, requests that failed and
 * checkpoints in storage are not counted.
 *
 * @since 0.1.0
 * @category getters
 */
export const rows = (
  step: Usage,
  cumulative: Usage,
  prices: Prices | undefined
): { readonly [name: string]: number } => {
  const found: Record<string, number> = {}
  for (const kind of kinds) {
    if (step[kind] !== undefined) found[`tokens/${kind}`] = step[kind]
    if (cumulative[kind] !== undefined) found[`tokens/cumulative/${kind}`] = cumulative[kind]
  }
  if (prices !== undefined) {
    found["cost/step_usd"] = usd(step, prices)
    found["cost/cumulative_usd"] = usd(cumulative, prices)
  }
  return found
}
