/** Prompt distillation: a teacher that needs a long prompt answers, and the student learns to answer without the prompt. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Distillation from "@effect-tinker/cookbook/Distillation"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as Effect from "effect/Effect"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

export const distillPrompt: Recipe = {
  name: "distill-prompt",
  group: "distillation",
  run: ({ data, full, seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const client = yield* service.createSamplingClient({ base_model: base.name })
      const { held, shown } = yield* letters.verbs({ data, full })
      const copied = letters.copies(held)
      const examples = yield* Distillation.answers(
        shown.slice(0, full ? 256 : 128).map(({ prompt }) => base.encode(prompt)),
        { client, context: base.encode(letters.copyExamples), sampling: { max_tokens: 24, temperature: 0, stop: "\n" } }
      )
      const before = yield* letters.sampledExactly(client, copied)
      const { training } = yield* Supervised.run({
        model: { base_model: base.name, rank: 16, seed },
        batches: Batches.make(examples, { size: 16, seed }),
        steps: full ? 64 : 32,
        learningRate: LearningRate.linear(2e-3),
        checkpoints: { final: false }
      })
      const after = yield* letters.sampledExactly(yield* training.saveWeightsAndGetSamplingClient(), copied)
      return {
        before,
        after,
        line: "sampled exactly ≥ 0.85, gain ≥ 0.1",
        passed: after >= 0.85 && after - before >= 0.1
      }
    })
}
