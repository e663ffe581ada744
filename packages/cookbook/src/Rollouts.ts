/**
 * Rollouts: the episodes of groups of environments, sampled from one set of weights. All run at once; the sampling client
 * keeps as many requests in flight as the service allows.
 *
 * ```ts
 * const groups = yield* Rollouts.run(sampling, envGroups, { sampling: { max_tokens: 64 } }, { run: 0, step: 12 })
 * ```
 *
 * - **Seeds.** The seed of each request is a hash of the seed of the run, the step, the group, the member, the turn and the
 *   attempt. What members of a group are given first, where it is the same, is sampled by one request.
 * - **Limits.** Before a turn: `max_turns`, then what is left of the tokens. Behind it: `max_tokens` where the turn was cut,
 *   then `max_sampled_tokens`. A cut turn is graded like any other. The time of an episode, and what an environment says,
 *   end it at any point; turns that are finished are kept.
 * - **Other machines.** `Rl.run` plays episodes in this process (`layerLocal`), or, by another layer, in processes on this
 *   and other machines (`layerCluster` of `@effect-tinker/cookbook/NodeRollouts`).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Env from "./internal/environments/model.ts"
import { type GroupError, runGroup } from "./internal/rollouts/group.ts"
import type { Options, Sampler } from "./internal/rollouts/model.ts"
import type { Place } from "./internal/rollouts/seeds.ts"
import * as service from "./internal/rollouts/service.ts"
import type { Group } from "./internal/trajectories/model.ts"

export type { Failures, Limits, Options, Sampler } from "./internal/rollouts/model.ts"
export { InvalidGroup } from "./internal/rollouts/group.ts"
export type { Place } from "./internal/rollouts/seeds.ts"
export { RolloutFailed, Rollouts } from "./internal/rollouts/service.ts"
export type { Key, Policy, RunPart, Service, Task } from "./internal/rollouts/service.ts"

/**
 * Plays the episodes of `Rl.run` in this process, as it does without any layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerLocal: Layer.Layer<service.Rollouts> = Layer.succeed(service.Rollouts, service.local)

/**
 * The episodes of one group.
 *
 * @since 0.1.0
 * @category running
 */
export const group: <E, R>(
  sampler: Sampler,
  group: Env.EnvGroup<E, R>,
  options: Options,
  place: Place
) => Effect.Effect<Group, E | GroupError, Exclude<R, Scope.Scope>> = runGroup

/**
 * The episodes of groups, in the order of the groups. The first group that fails, by the policy for failures, ends the
 * others.
 *
 * @since 0.1.0
 * @category running
 */
export const run = <E, R>(
  sampler: Sampler,
  groups: ReadonlyArray<Env.EnvGroup<E, R>>,
  options: Options,
  place: Omit<Place, "group">
): Effect.Effect<ReadonlyArray<Group>, E | GroupError, Exclude<R, Scope.Scope>> =>
  Effect.forEach(groups, (envs, i) => runGroup(sampler, envs, options, { ...place, group: i }), {
    concurrency: "unbounded"
  })
