/** On-policy distillation: the student samples, and a teacher that knows more judges each token. There is no other reward. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Distillation from "@effect-tinker/cookbook/Distillation"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Effect from "effect/Effect"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

export const distillOnPolicy: Recipe = {
  name: "distill-on-policy",
  group: "distillation",
  nightly: "asks its teacher about each answer",
  run: ({ data, full, seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const { held, shown } = yield* letters.verbs({ data, full })
      const teacher = yield* letters.warmUp(shown, { steps: full ? 100 : 80, seed })
      const { sampler, ...model } = yield* letters.warmUp(shown, { steps: 6, seed })
      const before = yield* letters.sampledExactly(yield* service.createSamplingClient({ model_path: sampler }), held)
      const client = yield* service.createSamplingClient({ model_path: teacher.sampler })
      const { rows, sampling } = yield* Rl.run({
        ...letters.settings,
        model,
        seed,
        groups: {
          at: (step) =>
            Effect.succeed(
              Array.from({ length: 32 }, (_, i) => letters.unrewarded(base, shown[(step * 32 + i) % shown.length]!, 4))
            )
        },
        steps: full ? 20 : 18,
        constantGroups: "keep",
        shaping: [Distillation.onPolicy({ client })]
      })
      const after = yield* letters.sampledExactly(sampling, held)
      const passed = after >= 0.6 && letters.divergence(rows) < 1e-4
      return { before, after, line: "sampled exactly ≥ 0.6, |KL| < 1e-4", passed }
    })
}
