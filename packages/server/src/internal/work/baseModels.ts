/** The base models and LoRA configs that requests may name. */
import type * as Model from "@effect-tinker/api/Model"
import type * as Session from "@effect-tinker/api/Session"
import * as Effect from "effect/Effect"
import type * as Engine from "../../Engine.ts"
import * as responses from "../util/responses.ts"

/** @internal */
export const findBaseModel = (engine: Engine.Service, name: string): Engine.BaseModel | undefined =>
  engine.models.find((model) => model.model_name === name)

/** The names of the supported base models, for error messages. @internal */
export const supportedNames = (engine: Engine.Service): string =>
  engine.models.map((model) => model.model_name).join(", ") || "none"

/** The base model of a request, which is rejected if it is not supported. @internal */
export const requireBaseModel = (
  engine: Engine.Service,
  name: string
): Effect.Effect<Engine.BaseModel, responses.OperationRejection> => {
  const found = findBaseModel(engine, name)
  return found === undefined
    ? responses.badRequest(`there is no base model ${name}; on offer: ${supportedNames(engine)}`)
    : Effect.succeed(found)
}

const maxRank = 1024

/** Rejects a LoRA config that trains no layer, or whose rank is too large to allocate. @internal */
export const checkLoraConfig = ({
  rank,
  train_attn,
  train_mlp,
  train_unembed
}: Model.LoraConfig): Effect.Effect<void, responses.OperationRejection> => {
  if (rank > maxRank) return responses.badRequest(`lora_config.rank is ${rank}, but at most ${maxRank} is allowed`)
  return train_attn || train_mlp || train_unembed
    ? Effect.void
    : responses.badRequest("lora_config trains nothing: set train_attn, train_mlp or train_unembed")
}

/** @internal */
export const capabilitiesOf = (engine: Engine.Service): Session.GetServerCapabilitiesResponse => ({
  supported_models: engine.models.map(({ max_context_length, model_name }) => ({
    model_name,
    max_context_length,
    trainable: true,
    sampleable: true
  }))
})
