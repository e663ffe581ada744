/** Rejects what the engine does not offer when a request arrives: losses, and inputs that are not text. */
import * as LossFn from "@effect-tinker/api/LossFn"
import type * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Engine from "../../Engine.ts"

/** Why no model of the engine computes a loss; `undefined` if they do. @internal */
export const lossProblem = ({ losses }: Engine.Service, lossFn: string): string | undefined => {
  if (losses === undefined) return LossFn.isKnown(lossFn) ? undefined : `loss_fn ${lossFn} is not known`
  return losses.includes(lossFn) ? undefined : `loss_fn ${lossFn} is not on offer; on offer: ${losses.join(", ")}`
}

/** Why no model of the engine reads an input; `undefined` if they do. `path` leads to the input. @internal */
export const inputProblem = (
  { chunks: offered = [] }: Engine.Service,
  path: string,
  { chunks }: ModelInput.ModelInput
): string | undefined => {
  const index = chunks.findIndex(({ type }) => type !== "encoded_text" && !offered.includes(type))
  if (index < 0) return undefined
  const types = ["encoded_text", ...offered].join(", ")
  return `${path}.chunks[${index}] is ${chunks[index]!.type}, which this service does not read; on offer: ${types}`
}
