import * as ModelInput from "@effect-tinker/api/ModelInput"
import { withWarnings } from "@effect-tinker/testing/Logs"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type * as Env from "../src/Env.ts"
import * as Rollouts from "../src/Rollouts.ts"
import * as Trajectory from "../src/Trajectory.ts"
import * as sampler from "./utils/sampler.ts"

const place = { run: 7, step: 3 }
const observe = (tokens: ReadonlyArray<number>) => ({ prompt: ModelInput.fromTokens(tokens), stop: [0] })

/** Each turn adds what was sampled and a 9; the episode ends after so many turns. */
const counting = (turns: number): Env.Env => {
  let seen: ReadonlyArray<number> = [1]
  let count = 0
  return {
    initial: Effect.succeed(observe(seen)),
    step: ({ tokens }) =>
      Effect.sync(() => {
        seen = [...seen, ...tokens, 9]
        count++
        return { reward: 1, ...(count < turns ? { next: observe(seen) } : {}) }
      })
  }
}

const groupOf = (size: number, env: Env.EnvGroup<string>["env"]): Env.EnvGroup<string> => ({ size, env })
const two = sampler.make(() => [5, 6])

describe("Rollouts", () => {
  it.effect("gives each request a seed of its own, equal in the next run", () =>
    Effect.gen(function* () {
      const seeds = (run: number) =>
        Effect.gen(function* () {
          const speaker = sampler.make(() => [5])
          const groups = [0, 1].map(() => groupOf(2, () => Effect.sync(() => counting(3))))
          yield* Rollouts.run(speaker, groups, {}, { ...place, run })
          return speaker.asked.map(({ options }) => options.sampling_params?.seed as number)
        })
      const first = yield* seeds(7)
      assert.strictEqual(new Set(first).size, 2 * 2 * 3)
      assert.isTrue(first.every((seed) => Number.isInteger(seed) && seed >= 0 && seed < 2 ** 31))
      assert.sameMembers(yield* seeds(7), first)
      assert.isEmpty((yield* seeds(8)).filter((seed) => first.includes(seed)))
    })
  )

  it.effect("ends an episode at the budget of sampled tokens, and asks for what is left of it", () =>
    Effect.gen(function* () {
      const speaker = sampler.make(() => [5, 6])
      const group = groupOf(1, () => Effect.sync(() => counting(9)))
      const { trajectories } = yield* Rollouts.group(
        speaker,
        group,
        { limits: { maxSampledTokens: 5 } },
        { ...place, group: 0 }
      )
      assert.deepStrictEqual(
        speaker.asked.map(({ options }) => options.sampling_params?.max_tokens),
        [5, 3, 1]
      )
      // the last turn was cut by its budget
      assert.deepStrictEqual([trajectories[0]!.stop, trajectories[0]!.turns.length], ["max_tokens", 3])
    })
  )

  it.effect("keeps the turns that were finished when the time of an episode is over, however stuck it is", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const env = Effect.as(
        Effect.addFinalizer(() => Deferred.succeed(closed, undefined)),
        {
          initial: Effect.succeed(observe([1])),
          step: () => Effect.uninterruptible(Effect.never)
        } satisfies Env.Env
      )
      const stuck = groupOf(2, (member) => (member === 0 ? env : Effect.sync(() => counting(2))))
      const fiber = yield* Effect.fork(
        Rollouts.group(two, stuck, { limits: { timeout: "1 minute" } }, { ...place, group: 0 })
      )
      yield* TestClock.adjust("1 minute")
      const { trajectories } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        trajectories.map(({ stop, turns }) => [stop, turns.length]),
        [
          ["rollout_timeout", 0],
          ["completed", 2]
        ]
      )
      yield* Deferred.await(closed)
    })
  )

  /** Environments of which the given attempts fail. */
  const failing = (size: number, fails: (member: number, attempt: number) => boolean) => {
    const attempts = new Map<number, number>()
    return groupOf(size, (member) =>
      Effect.suspend(() => {
        const attempt = attempts.get(member) ?? 0
        attempts.set(member, attempt + 1)
        return fails(member, attempt) ? Effect.fail(`member ${member}`) : Effect.succeed(counting(1))
      })
    )
  }
  const at = { ...place, group: 0 }

  it.effect("fails, retries, or goes on with fewer episodes, as the policy says", () =>
    Effect.gen(function* () {
      const once = (member: number, attempt: number) => member === 1 && attempt === 0
      const always = (member: number) => member === 1
      assert.strictEqual(yield* Effect.flip(Rollouts.group(two, failing(4, once), {}, at)), "member 1")
      const retry = { failures: { policy: "retry" } } as const
      const minimum = { failures: { policy: "minimum" } } as const
      const sizeOf = (group: Env.EnvGroup<string>, options: Rollouts.Options) =>
        withWarnings(Effect.map(Rollouts.group(two, group, options, at), ({ trajectories }) => trajectories.length))
      assert.strictEqual((yield* sizeOf(failing(4, once), retry)).value, 4)
      assert.strictEqual(yield* Effect.flip(sizeOf(failing(4, always), retry)), "member 1")
      const { lines, value } = yield* sizeOf(failing(4, always), minimum)
      assert.strictEqual(value, 3)
      assert.include(lines.at(-1), "1 of 4 episodes of a group failed and are left out")
      assert.strictEqual(yield* Effect.flip(sizeOf(failing(2, always), minimum)), "member 1")
    })
  )

  it.effect("adds the rewards of the group, and refuses those that fit no episode or are no numbers", () =>
    Effect.gen(function* () {
      const group = groupOf(2, () => Effect.sync(() => counting(1)))
      const run = (rewards: ReadonlyArray<number>) =>
        Rollouts.group(two, { ...group, rewards: () => Effect.succeed(rewards) }, {}, at)
      assert.deepStrictEqual(Trajectory.rewards(yield* run([0.5, -1])), [1.5, 0])
      const errors = yield* Effect.forEach([[1], [Number.NaN, 0]], (rewards) => Effect.flip(run(rewards)))
      assert.isTrue(errors.every((error) => error instanceof Rollouts.InvalidGroup))
      assert.deepStrictEqual(errors.map(String), [
        "InvalidGroup: rewards has the length 1, for 2 trajectories",
        "InvalidGroup: trajectories[0].reward is NaN, not a finite number"
      ])
    })
  )
})
