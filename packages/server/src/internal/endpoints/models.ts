/** Handlers of the groups `models` and `modelOperations`. */
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as TinkerService from "../../TinkerService.ts"
import * as responses from "../util/responses.ts"

/** @internal */
export const models = HttpApiBuilder.group(TinkerApi, "models", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("createModel", ({ payload }) => tinker.createModel(payload))
      .handle("getInfo", ({ payload }) => tinker.getInfo(payload.model_id))
  )
)

/** @internal */
export const modelOperations = HttpApiBuilder.group(TinkerApi, "modelOperations", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("unloadModel", ({ payload }) => tinker.unloadModel(payload.model_id))
      .handle("saveWeightsExternal", ({ payload }) => tinker.saveWeightsExternal(payload))
      .handle("createCustomLoss", () =>
        responses.badRequest(
          "this service does not run custom losses (custom_loss_server_side is off): compute them in the client"
        )
      )
  )
)
