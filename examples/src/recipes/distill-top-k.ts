/**
 * Self-distillation of the likeliest tokens: a model answers texts, and reads its answers once more behind examples. What it
 * then finds most likely at each position, with the shares of 20 tokens, is what it learns to find likely without them.
 */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Distillation from "@effect-tinker/cookbook/Distillation"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as Effect from "effect/Effect"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

export const distillTopK: Recipe = {
  name: "distill-top-k",
  group: "distillation",
  nightly: "asks its teacher about each answer",
  run: ({ data, full, seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const client = yield* service.createSamplingClient({ base_model: base.name })
      const { held, shown } = yield* letters.verbs({ data, full })
      const copied = letters.copies(held)
      const own = yield* Distillation.answers(
        shown.slice(0, full ? 256 : 96).map(({ prompt }) => base.encode(prompt)),
        { client, samples: 2, sampling: { max_tokens: 16, temperature: 1, stop: "\n", seed: 1000 * seed } }
      )
      const examples = yield* Distillation.topK(own, { client, context: base.encode(letters.copyExamples), k: 20 })
      const before = yield* letters.sampledExactly(client, copied)
      const { training } = yield* Supervised.run({
        model: { base_model: base.name, rank: 16, seed },
        batches: Batches.make(examples, { size: 16, seed }),
        steps: full ? 48 : 24,
        learningRate: LearningRate.linear(2e-3),
        checkpoints: { final: false }
      })
      const after = yield* letters.sampledExactly(yield* training.saveWeightsAndGetSamplingClient(), copied)
      const passed = after >= 0.85 && after - before >= 0.08
      return { before, after, line: "sampled exactly ≥ 0.85, gain ≥ 0.08", passed }
    })
}
