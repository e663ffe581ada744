/** Numbers of an evaluation: pass@k, intervals, and the comparison of two. */

const z95 = 1.959963984540054

/** @internal */
export const mean = (values: ReadonlyArray<number>): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length

/** The standard error of the mean of independent values. @internal */
export const standardError = (values: ReadonlyArray<number>): number => {
  if (values.length < 2) return 0
  const centre = mean(values)
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0)
  return Math.sqrt(squares / (values.length - 1) / values.length)
}

/**
 * `1 - C(n - c, k) / C(n, k)`: the chance that one of `k` samples is right, from `c` right ones of `n`, without bias.
 *
 * @internal
 */
export const passAt = (n: number, c: number, k: number): number => {
  if (n - c < k) return 1
  let miss = 1
  for (let i = n - c + 1; i <= n; i++) miss *= 1 - k / i
  return 1 - miss
}

/**
 * The interval of Wilson at 95 % for the mean of scores from 0 to 1, one a problem. Scores between count for more problems,
 * by their spread.
 *
 * @internal
 */
export const interval = (scores: ReadonlyArray<number>): readonly [number, number] => {
  if (scores.length === 0) return [0, 1]
  const p = mean(scores)
  const error = standardError(scores)
  const spread = p * (1 - p)
  const n = error > 0 && spread > 0 ? Math.max(scores.length, spread / error ** 2) : scores.length
  const centre = (p + z95 ** 2 / (2 * n)) / (1 + z95 ** 2 / n)
  const half = (z95 * Math.sqrt(Math.max(0, spread) / n + z95 ** 2 / (4 * n ** 2))) / (1 + z95 ** 2 / n)
  return [Math.max(0, centre - half), Math.min(1, centre + half)]
}

/** The two-sided sign test: how likely counts as uneven as these are if both are equally likely. @internal */
export const signTest = (wins: number, losses: number): number => {
  const n = wins + losses
  if (n === 0) return 1
  let logChance = -n * Math.LN2
  let tail = 0
  for (let i = 0; i <= Math.min(wins, losses); i++) {
    tail += Math.exp(logChance)
    logChance += Math.log(n - i) - Math.log(i + 1)
  }
  return Math.min(1, 2 * tail)
}
