/**
 * What happened in an episode: turn by turn, what the model was given, what it sampled, and the rewards. Trajectories
 * become the data of a step.
 *
 * @since 0.1.0
 */
import * as data from "./internal/trajectories/data.ts"
import type { Example, Group, Trajectory } from "./internal/trajectories/model.ts"

export * from "./internal/trajectories/model.ts"

/**
 * The sum of the rewards of all turns and of the episode.
 *
 * @since 0.1.0
 * @category getters
 */
export const totalReward = ({ reward, turns }: Trajectory): number =>
  turns.reduce((sum, turn) => sum + turn.reward, reward)

/**
 * The total rewards of a group's trajectories, in order.
 *
 * @since 0.1.0
 * @category getters
 */
export const rewards = ({ trajectories }: Group): ReadonlyArray<number> => trajectories.map(totalReward)

/**
 * The number of tokens that were sampled.
 *
 * @since 0.1.0
 * @category getters
 */
export const sampledTokens = ({ turns }: Trajectory): number =>
  turns.reduce((sum, { action }) => sum + action.tokens.length, 0)

/**
 * The data of a trajectory. A turn whose observation begins with the observation and the action of the turn before extends
 * its datum; any other begins a new one. Each sampled token has the advantage, one that is given for each turn, or one for
 * each token of each turn. Masked turns have the advantage 0 and the mask 0. Turns in which nothing was sampled give
 * nothing.
 *
 * @throws RangeError when logprobs or advantages are not finite, or not as many as the tokens they belong to.
 * @since 0.1.0
 * @category conversions
 */
export const toExamples: (
  trajectory: Pick<Trajectory, "turns">,
  advantage: number | ReadonlyArray<number | ArrayLike<number>>
) => ReadonlyArray<Example> = data.toExamples
