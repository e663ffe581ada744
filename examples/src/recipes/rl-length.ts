/** Reinforcement learning with a dense reward, from the bare base model: answers of five characters. */
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Env from "@effect-tinker/cookbook/Env"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Effect from "effect/Effect"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

/** 1 for five characters, less for each more or fewer, and -1 for an answer without an end. */
const reward = ({ ended, text }: Env.Answer): number => (ended ? Math.max(-1, 1 - Math.abs(text.length - 5) / 5) : -1)

export const length: Recipe = {
  name: "rl-length",
  group: "rl",
  run: ({ full, seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const { rows } = yield* Rl.run({
        ...letters.settings,
        model: { base_model: base.name, rank: 16, seed },
        seed,
        groups: {
          at: (step) =>
            Effect.map(
              letters.tasks(`step ${step}`, 16, (word) => word),
              (tasks) =>
                tasks.map(({ prompt }) =>
                  Env.problem({
                    prompt: base.encode(prompt),
                    stop: "\n",
                    size: 16,
                    decode: base.decode,
                    formPenalty: 0,
                    grade: reward
                  })
                )
            )
        },
        steps: full ? 25 : 6
      })
      // the prompts of each step are new, so that its reward is one on held-out prompts
      const rewards = rows.map((row) => Number(row["env/all/reward/total"]))
      const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length
      const [before, after] = [rewards[0]!, mean(rewards.slice(-3))]
      const passed = after >= 0.6 && letters.divergence(rows) < 1e-4
      return { before, after, line: "mean reward ≥ 0.6, |KL| < 1e-4", passed }
    })
}
