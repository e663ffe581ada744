import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Sampling from "@effect-tinker/api/Sampling"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Env from "../src/Env.ts"
import * as LearningRate from "../src/LearningRate.ts"
import * as Rl from "../src/Rl.ts"
import * as runs from "./utils/runs.ts"

const decode = (tokens: ArrayLike<number>) => String.fromCharCode(...Array.from(tokens))

/** Answers of one token that should be below 64: chance is a quarter. */
const groupOf = (step: number, i: number, tags?: ReadonlyArray<string>, size = 8) =>
  Env.problem({
    prompt: [97 + ((step * 2 + i) % 4)],
    stop: "\n",
    size,
    decode,
    formPenalty: 0,
    grade: ({ tokens }) => (tokens[0]! < 64 ? 1 : 0),
    tags
  })

const options: Rl.Options<Env.GraderTimeout> = {
  model: { base_model: TestEngine.baseModel, rank: 4, seed: 1 },
  groups: { at: (step) => Effect.succeed([0, 1].map((i) => groupOf(step, i))), fingerprint: "below 64" },
  steps: 4,
  learningRate: LearningRate.constant(0.3),
  rollouts: { sampling: { max_tokens: 1 } },
  checkpoints: { final: false }
}

const rewardsOf = ({ rows }: Rl.Result) => rows.map((row) => row["env/all/reward/total"] as number)

describe("Rl.run", () => {
  it.scoped("raises the reward, and says what happened in each step", () =>
    Effect.gen(function* () {
      const at = (step: number) => Effect.succeed([groupOf(0, step % 2, ["even"], 32), groupOf(0, 1, [], 32)])
      const result = yield* Rl.run({
        ...options,
        steps: 12,
        groups: { at },
        postKl: true,
        checkpoints: {},
        evaluations: [{ every: 5, run: ({ step }) => Effect.succeed({ "test/step": step }) }]
      })
      const rewards = rewardsOf(result).slice(0, 12)
      const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length
      assert.isAbove(mean(rewards.slice(8)), mean(rewards.slice(0, 4)) + 0.2)
      assert.deepStrictEqual([result.steps, result.checkpoint?.batch, result.checkpoint?.final], [12, 12, true])
      const row = result.rows[0]!
      assert.deepInclude(row, {
        step: 0,
        "env/all/total_episodes": 64,
        "env/even/total_episodes": 32,
        "env/all/ac_tokens_per_turn": 1,
        "lag/max": 0,
        learning_rate: 0.3
      })
      // one of 64 tokens may be the one that ends an answer
      assert.isAbove(row["env/all/stop/max_tokens"] as number, 0.9)
      assert.closeTo(row["optim/kl_sample_train_v3"] as number, 0, 1e-6)
      assert.isAbove(row["optim/entropy"] as number, 4)
      assert.isAbove(row["optim/kl_pre_post_v3"] as number, 1e-4)
      assert.deepStrictEqual(
        result.rows.filter((row) => "test/step" in row).map(({ step }) => step),
        [0, 5, 10, 12]
      )
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("trains with each loss that the service offers", () =>
    Effect.gen(function* () {
      const names = ["importance_sampling", "ppo", "cispo", "dro", "gspo"] as const
      for (const name of names) {
        const result = yield* Rl.run({ ...options, steps: 2, loss: { name } })
        assert.strictEqual(result.steps, 2, name)
        assert.isAbove(result.rows[0]!["num_loss_tokens"] as number, 0, name)
      }
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("drops groups that teach nothing, but never all of them", () =>
    Effect.gen(function* () {
      const constant = Env.problem({ prompt: [1], stop: "\n", size: 4, decode, formPenalty: 0, grade: () => 1 })
      const at = (step: number) => Effect.succeed([constant, groupOf(step, 0), constant])
      const mixed = yield* Rl.run({ ...options, steps: 1, groups: { at } })
      const only = yield* Rl.run({ ...options, steps: 1, groups: { at: () => Effect.succeed([constant, constant]) } })
      const all = yield* Rl.run({ ...options, steps: 1, groups: { at }, constantGroups: "keep" })
      assert.deepStrictEqual(
        [mixed, only, all].map(({ rows }) => rows[0]!["num_sequences"]),
        [8, 4, 16]
      )
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("has the rows of a run that was not stopped when it resumes", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/run`
      const run = {
        ...options,
        kl: { coefficient: 0.05 },
        checkpoints: { every: 2 },
        directory: { path, resume: true }
      }
      const whole = yield* Rl.run({ ...run, directory: undefined })
      let isBroken = true
      const groups: Rl.Options<string | Env.GraderTimeout>["groups"] = {
        fingerprint: "below 64",
        at: (step) => (step === 3 && isBroken ? Effect.fail("killed") : options.groups.at(step))
      }
      assert.strictEqual(yield* Effect.flip(Rl.run({ ...run, groups })), "killed")
      isBroken = false
      const resumed = yield* Rl.run({ ...run, groups })
      assert.strictEqual(resumed.from, 2)
      assert.deepStrictEqual(rewardsOf(resumed), rewardsOf(whole))
      const divergences = ({ rows }: Rl.Result) => rows.map((row) => row["kl_policy_base"])
      assert.deepStrictEqual(divergences(resumed), divergences(whole))
      assert.notStrictEqual(divergences(whole)[3], 0)
      const checkpoints = yield* runs.jsonLines(`${path}/checkpoints.jsonl`)
      assert.strictEqual(new Set(checkpoints.map(({ reference_path }) => reference_path)).size, 1)
      assert.match(checkpoints[0]!.reference_path, /sampler_weights\/reference$/)
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("fails before the first update when sampler and trainer disagree, and at an alarm", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Rl.run({ ...options, agreement: -1 }))
      assert.strictEqual(error._tag, "SamplerMismatch")
      const alarm = { metric: "optim/entropy", below: 100 }
      const raised = yield* Effect.flip(Rl.run({ ...options, alarms: [alarm] }))
      assert.match(String(raised), /optim\/entropy is [\d.]+ at step 0, beyond its bound 100/)
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("leaves out what its weights have moved too far from the sampler's, token by token or as a whole", () =>
    Effect.gen(function* () {
      const late: Rl.Options<Env.GraderTimeout> = {
        ...options,
        groups: { at: () => Effect.succeed([0, 1].map((i) => groupOf(0, i, [], 32))) },
        loop: { mode: "strict", maxLag: 1 },
        agreement: 1
      }
      const maskedOf = ({ rows }: Rl.Result) => rows.map((row) => Number(row["optim/masked_tokens"]))
      const some = yield* Rl.run({ ...late, mismatch: { by: "token", above: 3e-4 } })
      assert.strictEqual(maskedOf(some)[0], 0)
      // the weights have moved along the advantages by then
      assert.isTrue(maskedOf(some)[1]! > 0 && maskedOf(some)[1]! < 1, String(maskedOf(some)))
      const none = yield* Rl.run({ ...late, mismatch: { by: "token", above: 1 } })
      assert.deepStrictEqual(maskedOf(none), [0, 0, 0, 0])
      // nothing is left: the weights stay, so that all steps sample from the first ones
      const all = yield* Rl.run({ ...options, postKl: true, mismatch: { by: "sequence", ratio: [2, 3] } })
      assert.deepStrictEqual(maskedOf(all), [1, 1, 1, 1])
      assert.closeTo(Number(all.rows[3]!["optim/kl_pre_post_v3"]), 0, 1e-6)
      const refused = yield* Effect.forEach(
        [
          { ...options, mismatch: { by: "token" }, loss: { name: "dro" } },
          { ...options, mismatch: { by: "sequence", ratio: [2, 1] } },
          { ...options, kl: { coefficient: 1, discount: 2 } }
        ] satisfies ReadonlyArray<typeof options>,
        (bad) => Effect.flip(Rl.run(bad))
      )
      assert.deepStrictEqual(
        refused.map((error) => (error._tag === "InvalidRun" ? error.path : error)),
        ["mismatch", "mismatch", "kl.discount"]
      )
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("gives agents the path of the weights of each step", () =>
    Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const paths: Array<string> = []
      const agents: Env.EnvGroup<TinkerError.TinkerError | Env.GraderTimeout> = {
        size: 2,
        env: (member) =>
          Effect.succeed({
            play: ({ key, path }) =>
              Effect.gen(function* () {
                paths.push(path!)
                const sampling = yield* service.createSamplingClient({ model_path: path! })
                const { sequences } = yield* sampling.sample(ModelInput.fromTokens([97]), {
                  sampling_params: { max_tokens: 1, seed: member }
                })
                const [sampled] = yield* Effect.orDie(Sampling.withLogprobs(sequences))
                const turn = { observation: ModelInput.fromTokens([97]), action: sampled!, reward: member }
                assert.match(key, /^0-\d-0-[01]-0$/)
                return { turns: [turn], stop: "completed", reward: 0 }
              })
          })
      }
      const { rows } = yield* Rl.run({
        ...options,
        groups: { at: () => Effect.succeed([agents]) },
        snapshots: "saved",
        steps: 2
      })
      assert.deepStrictEqual(
        paths.map((path) => /sampler_weights\/.*-(\d)$/.exec(path)?.[1]),
        ["0", "0", "1", "1"]
      )
      assert.closeTo(Number(rows[1]!["optim/kl_sample_train_v3"]), 0, 1e-6)
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("splits a step into substeps or minibatches, and refuses both at once", () =>
    Effect.gen(function* () {
      const substeps = yield* Rl.run({ ...options, substeps: 4 })
      const minibatches = yield* Rl.run({ ...options, loop: { mode: "synchronous", minibatches: 2 } })
      const plain = yield* Rl.run(options)
      // the same episodes in the first step; the gradients of minibatches add up to that of the whole
      const count = ({ rows }: Rl.Result) => rows.map((row) => row["num_sequences"])
      assert.deepStrictEqual(count(minibatches)[0], count(plain)[0])
      assert.deepStrictEqual(rewardsOf(minibatches).slice(0, 2), rewardsOf(plain).slice(0, 2))
      assert.strictEqual(substeps.steps, 4)
      const both = { ...options, substeps: 2, loop: { mode: "synchronous", minibatches: 2 } } as const
      assert.strictEqual((yield* Effect.flip(Rl.run(both)))._tag, "InvalidRun")
    }).pipe(Effect.provide(runs.layer))
  )

  it.scoped("keeps the best, the worst and a random episode of each step", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/run`
      yield* Rl.run({ ...options, steps: 1, decode, directory: { path } })
      const samples = yield* runs.jsonLines(`${path}/samples.jsonl`)
      assert.deepStrictEqual(
        samples.map(({ text }) => /^\[(\w+): reward [\d.]+, max_tokens\] /.exec(text)?.[1]),
        ["best", "worst", "random"]
      )
      assert.match(samples[0]!.prompt, /^[ab]$/)
    }).pipe(Effect.provide(runs.layer))
  )
})
