/** Reinforcement learning from the bare base model: it learns to copy three letters from the reward alone. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Effect from "effect/Effect"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

export const copy: Recipe = {
  name: "rl-copy",
  group: "rl",
  run: ({ full, seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const held = yield* letters.tasks("held out", full ? 128 : 48, (word) => word)
      const before = yield* letters.sampledExactly(yield* service.createSamplingClient({ base_model: base.name }), held)
      const { rows, sampling } = yield* Rl.run({
        ...letters.settings,
        model: { base_model: base.name, rank: 16, seed },
        seed,
        groups: {
          at: (step) =>
            Effect.map(
              letters.tasks(`step ${step}`, 16, (word) => word),
              (tasks) => letters.problems(base, tasks)
            )
        },
        steps: full ? 8 : 6
      })
      const after = yield* letters.sampledExactly(sampling, held)
      const passed = after >= 0.78 && letters.divergence(rows) < 1e-4
      return { before, after, line: "sampled copies ≥ 0.78, |KL| < 1e-4", passed }
    })
}
