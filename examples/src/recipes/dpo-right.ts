/** Preferences: right past tenses against wrong ones. What the model writes is measured beside how it ranks. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Preference from "@effect-tinker/cookbook/Preference"
import * as Effect from "effect/Effect"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

/** What someone writes who knows one rule less: `laged`, or `orbitted`. */
const wrong = (verb: string, right: string): string => {
  const simple = `${verb}ed`
  return simple === right ? `${verb}${verb.at(-1)}ed` : simple
}

export const dpoRight: Recipe = {
  name: "dpo-right",
  group: "preference",
  nightly: "takes thirty steps in any form",
  run: ({ data, full, seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const pairOf = ({ answer, prompt }: letters.Task) =>
        Preference.pair(base.encode(prompt), {
          chosen: base.encode(`${answer}\n`),
          rejected: base.encode(` ${wrong(prompt.replace(" ->", ""), answer.trim())}\n`)
        })
      const { held, shown } = yield* letters.verbs({ data, full })
      const { sampler, ...model } = yield* letters.warmUp(shown, { steps: 8, seed })
      const reference = yield* service.createSamplingClient({ model_path: sampler })
      const { evaluated, rows, training } = yield* Preference.run({
        model,
        reference: sampler,
        pairs: Batches.make(shown.map(pairOf), { size: 16, seed }),
        loss: Preference.dpo({ beta: 0.3 }),
        nll: 0.1,
        steps: 30,
        learningRate: LearningRate.constant(1e-3),
        evaluations: [Preference.heldOut(held.map(pairOf), { reference, every: 100, beta: 0.3 })],
        checkpoints: { final: false }
      })
      const exact = yield* Effect.forEach([reference, yield* training.saveWeightsAndGetSamplingClient()], (client) =>
        letters.sampledExactly(client, held)
      )
      const [before, after] = [Number(rows[0]!["test/accuracy"]), Number(evaluated["test/accuracy"])]
      const written = exact.map((share) => share.toFixed(2)).join(" → ")
      return { before, after, line: `pair accuracy ≥ 0.9 (sampled exactly: ${written})`, passed: after >= 0.9 }
    })
}
