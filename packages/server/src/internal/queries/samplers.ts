/** Describes samplers. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as Effect from "effect/Effect"
import * as currentUser from "../auth/currentUser.ts"
import * as responses from "../util/responses.ts"
import { findBaseModel } from "../work/baseModels.ts"
import type { Query, ServiceState } from "./serviceState.ts"

/** What a sampler samples from. @internal */
export const getSampler = ({ engine, records }: ServiceState, id: string): Query<Sampling.GetSamplerResponse> =>
  Effect.flatMap(Effect.orDie(records.samplers.get({ id })), (row) => {
    const missing = () => responses.notFound(`there is no sampler ${id}`)
    if (row === undefined) return missing()
    const { base_model, model_path, owner } = row
    const tokenizer_id = findBaseModel(engine, base_model)?.tokenizer_id
    return currentUser.authorize<Sampling.GetSamplerResponse, responses.OperationRejection>(
      owner,
      () => Effect.succeed({ sampler_id: id, base_model, model_path, tokenizer_id }),
      missing
    )
  })
