/** Reinforcement learning of the past tense of verbs, from a model that was shown a few of them. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Effect from "effect/Effect"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

export const rlPastTense: Recipe = {
  name: "rl-past-tense",
  group: "rl",
  run: ({ data, full, seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const { held, shown } = yield* letters.verbs({ data, full })
      const { sampler, ...model } = yield* letters.warmUp(shown, { steps: 8, seed })
      const before = yield* letters.sampledExactly(yield* service.createSamplingClient({ model_path: sampler }), held)
      const { rows, sampling } = yield* Rl.run({
        ...letters.settings,
        model,
        seed,
        groups: {
          at: (step) =>
            Effect.succeed(
              letters.problems(
                base,
                Array.from({ length: 16 }, (_, i) => shown[(step * 16 + i) % shown.length]!)
              )
            )
        },
        steps: full ? 30 : 10
      })
      const after = yield* letters.sampledExactly(sampling, held)
      const [least, gain] = full ? [0.65, 0.2] : [0.55, 0.15]
      const passed = after >= least && after - before >= gain && letters.divergence(rows) < 1e-4
      return { before, after, line: `sampled exactly ≥ ${least}, gain ≥ ${gain}, |KL| < 1e-4`, passed }
    })
}
