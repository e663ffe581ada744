/**
 * Advantages: how much better a trajectory was than the others of its group. Each function takes the rewards of each group,
 * and returns an advantage for each.
 *
 * | | the advantage of a reward is |
 * |---|---|
 * | `centred` | its distance from the mean of its group |
 * | `standardized` | that distance in standard deviations of its group |
 * | `standardizedByBatch` | that distance in standard deviations of all rewards of the batch |
 * | `leaveOneOut` | its distance from the mean of the others of its group |
 *
 * In a group whose rewards are all equal every advantage is 0: such a group teaches nothing (`isConstant`).
 *
 * @since 0.1.0
 */

/**
 * The rewards of each group, or the advantages of each.
 *
 * @since 0.1.0
 * @category models
 */
export type Groups = ReadonlyArray<ReadonlyArray<number>>

/**
 * @since 0.1.0
 * @category models
 */
export type Estimator = (rewards: Groups) => Groups

const mean = (values: ReadonlyArray<number>): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length

/** The unbiased standard deviation; 0 of a single value. */
const deviation = (values: ReadonlyArray<number>): number => {
  if (values.length < 2) return 0
  const centre = mean(values)
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1))
}

/**
 * Whether all rewards of a group are equal, as in a group of one.
 *
 * @since 0.1.0
 * @category getters
 */
export const isConstant = (rewards: ReadonlyArray<number>): boolean => rewards.every((reward) => reward === rewards[0])

const centredGroup = (rewards: ReadonlyArray<number>): ReadonlyArray<number> => {
  // the mean of equal numbers may differ from them by rounding
  if (isConstant(rewards)) return rewards.map(() => 0)
  const centre = mean(rewards)
  return rewards.map((reward) => reward - centre)
}

/**
 * @since 0.1.0
 * @category estimators
 */
export const centred: Estimator = (groups) => groups.map(centredGroup)

/**
 * Divides by the standard deviation of the group plus `epsilon`, 1e-4 by default.
 *
 * @since 0.1.0
 * @category estimators
 */
export const standardized =
  (epsilon = 1e-4): Estimator =>
  (groups) =>
    groups.map((rewards) => centredGroup(rewards).map((value) => value / (deviation(rewards) + epsilon)))

/**
 * Divides by the standard deviation of all rewards plus `epsilon`, 1e-4 by default.
 *
 * @since 0.1.0
 * @category estimators
 */
export const standardizedByBatch =
  (epsilon = 1e-4): Estimator =>
  (groups) => {
    const scale = deviation(groups.flat()) + epsilon
    return groups.map((rewards) => centredGroup(rewards).map((value) => value / scale))
  }

/**
 * @since 0.1.0
 * @category estimators
 */
export const leaveOneOut: Estimator = (groups) =>
  groups.map((rewards) => centredGroup(rewards).map((value) => (value * rewards.length) / (rewards.length - 1 || 1)))
