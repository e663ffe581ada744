/** Reinforcement learning of what the model does now and then: three letters, in reverse. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Effect from "effect/Effect"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

const reversed = (word: string): string => Array.from(word).reverse().join("")

export const reverse: Recipe = {
  name: "rl-reverse",
  group: "rl",
  run: ({ full, seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const held = yield* letters.tasks("held out", full ? 128 : 48, reversed)
      const { sampler, ...model } = yield* letters.warmUp(yield* letters.tasks("shown", 640, reversed), {
        steps: 40,
        seed
      })
      const before = yield* letters.sampledExactly(yield* service.createSamplingClient({ model_path: sampler }), held)
      const { rows, sampling } = yield* Rl.run({
        ...letters.settings,
        model,
        seed,
        groups: {
          at: (step) =>
            Effect.map(letters.tasks(`step ${step}`, 16, reversed), (tasks) => letters.problems(base, tasks))
        },
        steps: 10
      })
      const after = yield* letters.sampledExactly(sampling, held)
      const passed = after >= 0.52 && after - before >= 0.15 && letters.divergence(rows) < 1e-4
      return { before, after, line: "sampled exactly ≥ 0.52, gain ≥ 0.15, |KL| < 1e-4", passed }
    })
}
