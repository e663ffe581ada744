/** Handlers of the groups `sampling` and `samplers`. */
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
      .handle("asample", ({ payload }) => tinker.sample(payload))
  )
)

/** @internal */
export const samplers = HttpApiBuilder.group(TinkerApi, "samplers", (handlers) =>
  Effect.map(TinkerService.TinkerService, ({ catalog }) =>
    handlers.handle("getSampler", ({ path }) => catalog.getSampler(path.sampler_id))
  )
)
