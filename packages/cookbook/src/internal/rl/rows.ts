/** What the row of a step says of its episodes and of its pass. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Advantages from "../../Advantages.ts"
import type * as Kl from "../../Kl.ts"
import type { Group, Trajectory } from "../trajectories/model.ts"

type Values = { readonly [name: string]: number }

/** @internal */
export const totalRewards = ({ trajectories }: Group): ReadonlyArray<number> =>
  trajectories.map(({ reward, turns }) => turns.reduce((sum, turn) => sum + turn.reward, reward))

const mean = (values: ReadonlyArray<number>): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length

/** A reward from which an episode counts as good. */
const good = 0.5

const sampledOf = ({ turns }: Trajectory): number => turns.reduce((sum, { action }) => sum + action.tokens.length, 0)

const givenOf = ({ turns }: Trajectory): number =>
  turns.reduce((sum, { observation }) => sum + ModelInput.length(observation), 0)

const byGroup = (groups: ReadonlyArray<Group>): Values => {
  const rewards = groups.map(totalRewards)
  const isAllGood = rewards.map((group) => group.every((reward) => reward >= good))
  const isAllBad = rewards.map((group) => group.every((reward) => reward < good))
  const share = (flags: ReadonlyArray<boolean>) => mean(flags.map(Number))
  return {
    "by_group/frac_mixed": share(isAllGood.map((flag, i) => !flag && !isAllBad[i]!)),
    "by_group/frac_all_good": share(isAllGood),
    "by_group/frac_all_bad": share(isAllBad),
    "by_group/frac_constant": share(rewards.map(Advantages.isConstant))
  }
}

const averages = (trajectories: ReadonlyArray<Trajectory>): Values => {
  const sums = new Map<string, { total: number; count: number }>()
  for (const { metrics = {}, turns } of trajectories) {
    for (const [name, value] of Object.entries(metrics)) {
      const sum = sums.get(name) ?? { total: 0, count: 0 }
      sums.set(name, { total: sum.total + value, count: sum.count + Math.max(1, turns.length) })
    }
  }
  return Object.fromEntries(Array.from(sums, ([name, { count, total }]) => [name, total / count]))
}

const valuesOf = (groups: ReadonlyArray<Group>): Values => {
  const trajectories = groups.flatMap((group) => group.trajectories)
  const rewards = groups.flatMap(totalRewards)
  const turns = trajectories.reduce((sum, trajectory) => sum + trajectory.turns.length, 0)
  const sampled = trajectories.reduce((sum, trajectory) => sum + sampledOf(trajectory), 0)
  const given = trajectories.reduce((sum, trajectory) => sum + givenOf(trajectory), 0)
  const stops: Record<string, number> = {}
  for (const { stop } of trajectories) {
    stops[`stop/${stop}`] = (stops[`stop/${stop}`] ?? 0) + 1 / Math.max(1, trajectories.length)
  }
  return {
    ...averages(trajectories),
    ...stops,
    ...byGroup(groups),
    "reward/total": mean(rewards),
    "reward/min": rewards.length === 0 ? 0 : Math.min(...rewards),
    "reward/max": rewards.length === 0 ? 0 : Math.max(...rewards),
    ac_tokens_per_turn: sampled / Math.max(1, turns),
    ob_tokens_per_turn: given / Math.max(1, turns),
    turns_per_episode: turns / Math.max(1, trajectories.length),
    total_episodes: trajectories.length,
    total_turns: turns,
    total_ac_tokens: sampled,
    total_ob_tokens: given
  }
}

const prefixed = (prefix: string, values: Values): Values =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}/${name}`, value]))

/** What is known of the episodes of all groups, and of those of each tag that only some groups have. @internal */
export const episodes = (groups: ReadonlyArray<Group>): Values => {
  const tags = new Set(groups.flatMap((group) => group.tags ?? []))
  let values = prefixed("env/all", valuesOf(groups))
  for (const tag of tags) {
    const tagged = groups.filter((group) => group.tags?.includes(tag) === true)
    if (tagged.length < groups.length) values = { ...values, ...prefixed(`env/${tag}`, valuesOf(tagged)) }
  }
  return values
}

/** @internal */
export const divergence = ({ entropy, k1, k2, k3, max }: Kl.Estimate): Values => ({
  "optim/kl_sample_train_v1": k1,
  "optim/kl_sample_train_v2": k2,
  "optim/kl_sample_train_v3": k3,
  "optim/max_logprob_difference": max,
  "optim/entropy": entropy
})
