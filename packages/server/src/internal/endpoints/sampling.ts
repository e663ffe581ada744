/** Handlers of the group `sampling`. */
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as TinkerService from "../../TinkerService.ts"

/** @internal */
export const sampling = HttpApiBuilder.group(TinkerApi, "sampling", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("createSamplingSession", ({ payload }) =>
        Effect.map(tinker.createSamplingSession(payload), (sampling_session_id) => ({ sampling_session_id }))
      )
      .handle("joinSamplingSession", ({ payload }) =>
        Effect.map(tinker.joinSamplingSession(payload.sampling_session_id), (client_counter) => ({
          client_counter,
          type: "join_sampling_session" as const
        }))
      )
      .handle("asample", ({ payload }) => tinker.sample(payload))
      .handle("getSampler", ({ path }) => tinker.catalog.getSampler(path.sampler_id))
  )
)
