/** Supervised training on prompts and completions: the past tense of verbs that it has not seen. See ../past-tense.ts. */
import * as Effect from "effect/Effect"
import * as PastTense from "../past-tense.ts"
import type { Recipe } from "./recipe.ts"

export const pastTense: Recipe = {
  name: "past-tense",
  group: "sft",
  run: ({ data, full, seed }) =>
    Effect.map(
      PastTense.program({ ...PastTense.defaults, data, seed, steps: full ? 128 : 16, heldOut: full ? 128 : 32 }),
      ({ after, before }) => {
        const least = full ? 0.7 : 0.5
        return { before, after, line: `exact match ≥ ${least}`, passed: after >= least }
      }
    )
}
