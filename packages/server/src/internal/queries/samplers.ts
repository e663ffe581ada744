/** Describes samplers. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as Effect from "effect/Effect"
import * as currentUser from "../auth/currentUser.ts"
import * as responses from "../util/responses.ts"
import type { Query, ServiceState } from "./serviceState.ts"

/** The base model and checkpoint of a sampler, even after its session has ended. @internal */
export const getSampler = ({ samplers }: ServiceState, id: string): Query<Sampling.GetSamplerResponse> =>
  Effect.suspend(() => {
    const missing = () => responses.notFound(`there is no sampler ${id}`)
    const described = samplers.describe(id)
    if (described === undefined) return missing()
    const { owner, ...response } = described
    return currentUser.authorize<Sampling.GetSamplerResponse, responses.OperationRejection>(
      owner,
      () => Effect.succeed(response),
      missing
    )
  })
