/** Checks the input of a pass without the model: a request that cannot run is rejected when it arrives. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as datum from "./datum.ts"
import * as losses from "./losses.ts"

/** Why a pass cannot run, beginning with the path of the field; `undefined` if it can. */
const problemOf = (
  { data, loss_fn, loss_fn_config }: Engine.PassOptions,
  vocabSize: number | undefined
): string | undefined => {
  const invalid = losses.problem(loss_fn, loss_fn_config)
  if (invalid !== undefined || vocabSize === undefined) return invalid
  for (let i = 0; i < data.length; i++) {
    const problem = datum.problem(datum.complete(data[i]!, loss_fn), loss_fn, vocabSize)
    if (problem !== undefined) return `data[${i}].${problem}`
  }
  return undefined
}

/** The check of an engine with these base models. @internal */
export const make = (models: ReadonlyArray<Engine.BaseModel>): NonNullable<Engine.Service["passProblem"]> => {
  const sizes = new Map(models.map(({ model_name, vocab_size }) => [model_name, vocab_size]))
  return (baseModel, options) => problemOf(options, sizes.get(baseModel))
}
