/** Reinforcement learning of the past tense of verbs, from a model that was shown a few of them. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Effect from "effect/Effect"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

const taskOf = ({ completion, prompt }: Dataset.PromptCompletion): letters.Task => ({
  prompt,
  answer: completion.replace("\n", "")
})

export const rlPastTense: Recipe = {
  name: "rl-past-tense",
  group: "rl",
  run: ({ data, full }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const records = yield* Dataset.read(Dataset.PromptCompletion, data)
      const verbs = records.filter(({ split }) => split !== "test").map(taskOf)
      const held = records
        .filter(({ split }) => split === "test")
        .slice(0, full ? 128 : 48)
        .map(taskOf)
      const { sampler, ...model } = yield* letters.warmUp(verbs, 8, 5e-3)
      const before = yield* letters.sampledExactly(yield* service.createSamplingClient({ model_path: sampler }), held)
      const { rows, sampling } = yield* Rl.run({
        ...letters.settings,
        model,
        groups: {
          at: (step) =>
            Effect.succeed(
              letters.problems(
                base,
                Array.from({ length: 16 }, (_, i) => verbs[(step * 16 + i) % verbs.length]!)
              )
            )
        },
        steps: full ? 30 : 16
      })
      const after = yield* letters.sampledExactly(sampling, held)
      const passed = after >= 0.65 && after - before >= 0.2 && letters.divergence(rows) < 1e-4
      return { before, after, line: "sampled exactly ≥ 0.65, gain ≥ 0.2, |KL| < 1e-4", passed }
    })
}
