/** Preferences: a model that answers now in a word, now in a sentence, learns to answer in a word. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Preference from "@effect-tinker/cookbook/Preference"
import * as Effect from "effect/Effect"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

const answersOf = ({ answer }: letters.Task) => ({ short: answer, long: ` they${answer} it again` })

/** The share of sampled answers that are one word. */
const oneWord = Effect.fnUntraced(function* (
  sampling: SamplingClient.SamplingClient,
  held: ReadonlyArray<letters.Task>
) {
  const base = yield* BaseModel.BaseModel
  const shares = yield* Effect.forEach(
    held,
    ({ prompt }, i) =>
      Effect.map(
        sampling.sample(ModelInput.fromTokens(base.encode(prompt)), {
          num_samples: 4,
          sampling_params: { max_tokens: 32, temperature: 1, stop: "\n", seed: 1000 + i }
        }),
        ({ sequences }) => sequences.filter(({ tokens }) => /^ [a-z]+\n$/.test(base.decode(tokens))).length / 4
      ),
    { concurrency: "unbounded" }
  )
  return shares.reduce((sum, share) => sum + share, 0) / shares.length
})

export const dpoShorter: Recipe = {
  name: "dpo-shorter",
  group: "preference",
  run: ({ data, full, seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const { held, shown } = yield* letters.verbs({ data, full })
      const both = shown.map((task, i): letters.Task => {
        const { long, short } = answersOf(task)
        return { prompt: task.prompt, answer: i % 2 === 0 ? short : long }
      })
      const { sampler, ...model } = yield* letters.warmUp(both, { steps: 30, seed })
      const reference = yield* service.createSamplingClient({ model_path: sampler })
      const pairOf = (task: letters.Task) => {
        const { long, short } = answersOf(task)
        return Preference.pair(base.encode(task.prompt), {
          chosen: base.encode(`${short}\n`),
          rejected: base.encode(`${long}\n`)
        })
      }
      const before = yield* oneWord(reference, held)
      const { evaluated, training } = yield* Preference.run({
        model,
        reference: sampler,
        pairs: Batches.make(shown.map(pairOf), { size: 16, seed }),
        loss: Preference.dpo({ beta: 0.1 }),
        nll: 0.1,
        steps: full ? 20 : 12,
        learningRate: LearningRate.constant(1e-3),
        evaluations: [Preference.heldOut(held.map(pairOf), { reference, every: 100 })],
        checkpoints: { final: false }
      })
      const after = yield* oneWord(yield* training.saveWeightsAndGetSamplingClient(), held)
      const accuracy = Number(evaluated["test/accuracy"])
      const passed = after >= 0.85 && accuracy >= 0.98
      return { before, after, line: `answers of one word ≥ 0.85, pair accuracy ${accuracy.toFixed(3)} ≥ 0.98`, passed }
    })
}
