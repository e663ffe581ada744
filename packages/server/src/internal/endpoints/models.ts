/** Handlers of the group `models`. */
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as TinkerService from "../../TinkerService.ts"

/** @internal */
export const models = HttpApiBuilder.group(TinkerApi, "models", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("createModel", ({ payload }) => tinker.createModel(payload))
      .handle("getInfo", ({ payload }) => tinker.getInfo(payload.model_id))
      .handle("unloadModel", ({ payload }) => tinker.unloadModel(payload.model_id))
  )
)
