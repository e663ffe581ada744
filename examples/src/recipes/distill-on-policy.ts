/** On-policy distillation: the student samples, and a teacher that knows more judges each token. There is no other reward. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as Distillation from "@effect-tinker/cookbook/Distillation"
import * as Env from "@effect-tinker/cookbook/Env"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as Effect from "effect/Effect"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

export const distillOnPolicy: Recipe = {
  name: "distill-on-policy",
  group: "distillation",
  run: ({ data, full }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const records = yield* Dataset.read(Dataset.PromptCompletion, data)
      const taskOf = ({ completion, prompt }: Dataset.PromptCompletion): letters.Task => ({
        prompt,
        answer: ` ${completion.trim()}`
      })
      const verbs = records.filter(({ split }) => split !== "test").map(taskOf)
      const held = records
        .filter(({ split }) => split === "test")
        .slice(0, full ? 128 : 48)
        .map(taskOf)
      const teacher = yield* letters.warmUp(verbs, full ? 100 : 80, 5e-3)
      const { sampler, ...model } = yield* letters.warmUp(verbs, 6, 5e-3)
      const before = yield* letters.sampledExactly(yield* service.createSamplingClient({ model_path: sampler }), held)
      const client = yield* service.createSamplingClient({ model_path: teacher.sampler })
      const problemOf = (step: number, i: number) =>
        Env.problem({
          prompt: base.encode(verbs[(step * 32 + i) % verbs.length]!.prompt),
          stop: "\n",
          size: 4,
          decode: base.decode,
          formPenalty: 0,
          grade: () => 0
        })
      const { rows, sampling } = yield* Rl.run({
        ...letters.settings,
        model,
        groups: { at: (step) => Effect.succeed(Array.from({ length: 32 }, (_, i) => problemOf(step, i))) },
        steps: full ? 20 : 18,
        constantGroups: "keep",
        shaping: [Distillation.onPolicy({ client })]
      })
      const after = yield* letters.sampledExactly(sampling, held)
      const passed = after >= 0.6 && letters.divergence(rows) < 1e-4
      return { before, after, line: "sampled exactly ≥ 0.6, |KL| < 1e-4", passed }
    })
}
