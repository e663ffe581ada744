/** Says of operations, by their sizes alone, whether they can ever run within the memory budget. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Either from "effect/Either"
import * as sampleMemory from "../generation/sampleMemory.ts"
import * as layouts from "../lora/layout.ts"
import type * as budget from "../model/budget.ts"
import * as passMemory from "../training/passMemory.ts"

/** `Engine.Service.demandProblem` for models of which this is known. @internal */
export const problemOf = (
  models: ReadonlyArray<budget.ModelMemory>
): ((demand: Engine.Demand) => string | undefined) => {
  const byName = new Map(models.map((model) => [model.name, model]))
  return (demand) => {
    const model = byName.get(demand.base_model)
    // the operation itself says so
    if (model === undefined) return undefined
    if (demand._tag === "Sample") {
      return sampleMemory.problem(model, demand.prompt_tokens, demand.max_tokens, demand.scores_prompt)
    }
    const layout = layouts.make(model.config, demand.lora_config)
    return Either.isLeft(layout)
      ? undefined
      : passMemory.problem(model, layout.right.size, demand.sequences, demand.backward)
  }
}
