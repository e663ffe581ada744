/** A model whose operations take turns on the engine, and what operations cost. */
import type * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as Either from "effect/Either"
import type * as Engine from "../../Engine.ts"
import type { Claim, Turns } from "./turns.ts"

/** A token of a forward pass costs 1. */
const backwardCost = 3
const sampledCost = 3
/** of operations whose cost depends on the size of the model alone */
const smallCost = 64

/** @internal */
export const lengthOf = (input: ModelInput.ModelInput): number =>
  Either.getOrElse(ModelInput.lengthEither(input), () => 0)

/** The number of tokens of a pass. @internal */
export const tokensOf = (data: ReadonlyArray<Datum.Datum>): number =>
  data.reduce((sum, { model_input }) => sum + lengthOf(model_input), 0)

/** The cost of a sample request: expected by its limits, then by the tokens that were sampled. @internal */
export const sampleCosts = (
  prompt: number,
  numSamples: number,
  maxTokens: number
): Pick<Claim<Sampling.SampleResponse>, "cost" | "tokenCost" | "costOf"> => ({
  cost: prompt + sampledCost * numSamples * maxTokens,
  tokenCost: sampledCost,
  costOf: ({ sequences }) => prompt + sampledCost * sequences.reduce((sum, { tokens }) => sum + tokens.length, 0)
})

/** The claim of an operation that is small, such as the creation of a model. @internal */
export const smallClaim = (owner: string | undefined, target: string): Claim<unknown> => ({
  owner,
  target,
  cost: smallCost
})

/** @internal */
export const make = (
  turns: Turns,
  owner: string | undefined,
  target: string,
  model: Engine.EngineModel
): Engine.EngineModel => {
  const small = smallClaim(owner, target)
  const pass = (tokenCost: number, { data }: Engine.PassOptions) => ({
    owner,
    target,
    tokenCost,
    cost: tokenCost * tokensOf(data)
  })
  return {
    forward: (options) => turns.run(pass(1, options), model.forward(options)),
    forwardBackward: (options) => turns.run(pass(backwardCost, options), model.forwardBackward(options)),
    optimStep: (params) => turns.run(small, model.optimStep(params)),
    adapter: turns.run(small, model.adapter),
    optimizer: turns.run(small, model.optimizer),
    load: (adapter, optimizer) => turns.run(small, model.load(adapter, optimizer))
  }
}
