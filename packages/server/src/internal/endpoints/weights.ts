/** Handlers of the group `weightsOperations`: copies and uploads of weights. */
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as TinkerService from "../../TinkerService.ts"
import { ApiKeys } from "../auth/apiKeys.ts"
import { Uploads } from "../transfers/uploads.ts"

/** @internal */
export const weightsOperations = HttpApiBuilder.group(TinkerApi, "weightsOperations", (handlers) =>
  Effect.map(Effect.all([TinkerService.TinkerService, ApiKeys, Uploads]), ([{ catalog }, { withAccess }, uploads]) =>
    handlers
      .handle("copyWeights", ({ payload, request }) =>
        withAccess(
          catalog.copyWeights(payload, request.headers["x-idempotency-key"]),
          request.headers["x-tinker-weights-access-token"]
        )
      )
      .handle("weightsInfo", ({ payload }) => catalog.weightsInfo(payload.tinker_path))
      .handle("externalWeightsUploadStart", ({ payload, request }) => uploads.start(request, payload))
      .handle("externalWeightsUploadFinish", ({ payload }) => uploads.finish(payload.upload_id))
  )
)
