/**
 * Self-distillation: a model is its own teacher. It reads examples before each text that it does not see when it answers, and
 * judges its own answers by them, token by token: what it can do with examples it learns to do without.
 */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Distillation from "@effect-tinker/cookbook/Distillation"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Effect from "effect/Effect"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

export const distillSelf: Recipe = {
  name: "distill-self",
  group: "distillation",
  nightly: "asks its teacher about each answer",
  run: ({ data, full, seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const client = yield* service.createSamplingClient({ base_model: base.name })
      const { held, shown } = yield* letters.verbs({ data, full })
      const copied = letters.copies(held)
      const before = yield* letters.sampledExactly(client, copied)
      const { rows, sampling } = yield* Rl.run({
        ...letters.settings,
        model: { base_model: base.name, rank: 16, seed },
        seed,
        groups: {
          at: (step) =>
            Effect.succeed(
              Array.from({ length: 32 }, (_, i) => letters.unrewarded(base, shown[(step * 32 + i) % shown.length]!, 4))
            )
        },
        steps: full ? 16 : 8,
        constantGroups: "keep",
        shaping: [Distillation.onPolicy({ client, context: base.encode(letters.copyExamples) })]
      })
      const after = yield* letters.sampledExactly(sampling, copied)
      const passed = after >= 0.85 && after - before >= 0.1 && letters.divergence(rows) < 1e-4
      return { before, after, line: "sampled exactly ≥ 0.85, gain ≥ 0.1, |KL| < 1e-4", passed }
    })
}
