/** The episodes of one group. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { EnvGroup, Observation, Policy } from "../environments/model.ts"
import type { Action, Group, Trajectory } from "../trajectories/model.ts"
import { budgetOf, episode, type SampleError, sampleActions } from "./episode.ts"
import type { Options, Sampler } from "./model.ts"
import { type Place, seedOf } from "./seeds.ts"

/**
 * A group gave something else than it promised, such as rewards of another number.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidGroup extends Schema.TaggedError<InvalidGroup>("@effect-tinker/cookbook/Rollouts/InvalidGroup")(
  "InvalidGroup",
  { path: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `${this.path} ${this.reason}`
  }
}

/** @internal */
export type GroupError = SampleError | InvalidGroup

/** Actions for the first turn of all members, sampled by one request, if they are all given the same. */
const sampleTogether = <E, R>(sampler: Sampler, { initial, size }: EnvGroup<E, R>, options: Options, place: Place) =>
  Effect.gen(function* () {
    if (initial === undefined || size < 2) return undefined
    const observation = yield* initial
    const budget = budgetOf(options, observation, { turns: 0, sampled: 0 })
    if (typeof budget === "string") return undefined
    const seed = seedOf(place, size, 0, 0)
    const actions = yield* sampleActions(sampler, options, observation, { count: size, seed, maxTokens: budget })
    if (actions.length === size) return actions
    return yield* new InvalidGroup({ path: "sequences", reason: `has the length ${actions.length}, not ${size}` })
  })

const one = (actions: ReadonlyArray<Action>): Effect.Effect<Action, InvalidGroup> =>
  actions[0] === undefined
    ? Effect.fail(new InvalidGroup({ path: "sequences", reason: "is empty: one was asked for" }))
    : Effect.succeed(actions[0])

/** Runs effects that may fail, as the policy says. */
const withPolicy = Effect.fnUntraced(function* <A, E, R>(
  size: number,
  { failures = { policy: "fail" } }: Options,
  run: (member: number, attempt: number) => Effect.Effect<A, E, R>
) {
  const members = Array.from({ length: size }, (_, member) => member)
  const all = { concurrency: "unbounded" } as const
  if (failures.policy === "fail") return yield* Effect.forEach(members, (member) => run(member, 0), all)
  let retries = failures.retries ?? 3
  const attempt = (member: number, count: number): Effect.Effect<A, E, R> =>
    Effect.catchAll(run(member, count), (error) => {
      if (retries <= 0) return Effect.fail(error)
      retries--
      return Effect.andThen(
        Effect.logWarning(`an episode failed and is run again: ${Cause.pretty(Cause.fail(error))}`),
        attempt(member, count + 1)
      )
    })
  if (failures.policy === "retry") return yield* Effect.forEach(members, (member) => attempt(member, 0), all)
  const exits = yield* Effect.forEach(members, (member) => Effect.exit(attempt(member, 0)), all)
  const good = exits.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value] : []))
  const bad = exits.find(Exit.isFailure)
  if (bad === undefined) return good
  if (Cause.isInterrupted(bad.cause) || good.length < Math.ceil((failures.least ?? 0.75) * size)) {
    return yield* Effect.failCause(bad.cause)
  }
  yield* Effect.logWarning(`${size - good.length} of ${size} episodes of a group failed and are left out`, bad.cause)
  return good
})

const addRewards = <E, R>(group: EnvGroup<E, R>, trajectories: ReadonlyArray<Trajectory>) =>
  Effect.gen(function* () {
    if (group.rewards === undefined) return trajectories
    const rewards = yield* group.rewards(trajectories)
    if (rewards.length !== trajectories.length) {
      const reason = `has the length ${rewards.length}, for ${trajectories.length} trajectories`
      return yield* new InvalidGroup({ path: "rewards", reason })
    }
    return trajectories.map((trajectory, i) => ({ ...trajectory, reward: trajectory.reward + rewards[i]! }))
  })

const checkRewards = (trajectories: ReadonlyArray<Trajectory>): Effect.Effect<void, InvalidGroup> => {
  for (const [i, { reward, turns }] of trajectories.entries()) {
    const total = turns.reduce((sum, turn) => sum + turn.reward, reward)
    if (!Number.isFinite(total)) {
      return new InvalidGroup({ path: `trajectories[${i}].reward`, reason: `is ${total}, not a finite number` })
    }
  }
  return Effect.void
}

const policyOf = ({ path, sample }: Sampler, place: Place, member: number, attempt: number): Policy => ({
  sample,
  path,
  key: [place.run, place.step, place.group, member, attempt].join("-"),
  seed: (request) => seedOf(place, member, request, attempt)
})

/** Runs the episode of a member; its first action may be known. @internal */
export const playMember =
  <E, R>(
    sampler: Sampler,
    group: EnvGroup<E, R>,
    options: Options,
    place: Place,
    first: ReadonlyArray<Action> | undefined
  ) =>
  (member: number, attempt: number) => {
    const act = (observation: Observation, turn: number, maxTokens: number | undefined) => {
      const known = turn === 0 && attempt === 0 ? first?.[member] : undefined
      if (known !== undefined) return Effect.succeed(known)
      const seed = seedOf(place, member, turn, attempt)
      return Effect.flatMap(sampleActions(sampler, options, observation, { count: 1, seed, maxTokens }), one)
    }
    return Effect.scoped(
      Effect.flatMap(group.env(member), (env) =>
        "play" in env ? env.play(policyOf(sampler, place, member, attempt)) : episode(env, options, act)
      )
    )
  }

/** Runs all episodes of a group at once, each by a function of its member and its attempt. @internal */
export const runMembers = <E, R, E2, R2>(
  group: EnvGroup<E, R>,
  options: Options,
  play: (member: number, attempt: number) => Effect.Effect<Trajectory, E2, R2>
): Effect.Effect<Group, E | E2 | InvalidGroup, R | R2> =>
  Effect.gen(function* () {
    const played = yield* withPolicy(group.size, options, play)
    const trajectories = yield* addRewards(group, played)
    yield* checkRewards(trajectories)
    return { trajectories, tags: group.tags }
  }).pipe(Effect.withSpan("rollout_group"))

/** @internal */
export const checkSize = ({ size }: Pick<EnvGroup, "size">): Effect.Effect<void, InvalidGroup> =>
  Number.isSafeInteger(size) && size >= 1
    ? Effect.void
    : new InvalidGroup({ path: "size", reason: `is ${size}: give a whole number of 1 or more` })

/** Runs all episodes of a group at once. @internal */
export const runGroup = <E, R>(
  sampler: Sampler,
  group: EnvGroup<E, R>,
  options: Options,
  place: Place
): Effect.Effect<Group, E | GroupError, Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    yield* checkSize(group)
    const first = yield* sampleTogether(sampler, group, options, place)
    return yield* runMembers(group, options, playMember(sampler, group, options, place, first))
  }).pipe(Effect.scoped)
