/** Handlers of the group `weights`. */
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as Weights from "@effect-tinker/api/Weights"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as TinkerService from "../../TinkerService.ts"
import { ApiKeys } from "../auth/apiKeys.ts"
import * as bodies from "../http/bodies.ts"
import { Uploads } from "../transfers/uploads.ts"

/** The member of the union that the fields indicate: the error of the union would list the issues of both. */
const loadWeightsSchema = (body: object): Schema.Schema<typeof Weights.AnyLoadWeightsRequest.Type, unknown> =>
  ("session_id" in body && !("model_id" in body)
    ? Weights.CreateFromWeightsRequest
    : Weights.LoadWeightsRequest) as never

/** @internal */
export const weights = HttpApiBuilder.group(TinkerApi, "weights", (handlers) =>
  Effect.map(Effect.all([TinkerService.TinkerService, ApiKeys, Uploads]), ([tinker, { withAccess }, uploads]) =>
    handlers
      .handle("saveWeights", ({ payload }) => tinker.saveWeights(payload))
      .handle("saveWeightsForSampler", ({ payload }) => tinker.saveWeightsForSampler(payload))
      .handle("saveWeightsExternal", ({ payload }) => tinker.saveWeightsExternal(payload))
      .handleRaw("loadWeights", ({ request }) =>
        Effect.flatMap(bodies.decodeJson(request, loadWeightsSchema), (payload) =>
          withAccess(tinker.loadWeights(payload), payload.weights_access_token)
        )
      )
      .handle("copyWeights", ({ payload, request }) =>
        withAccess(
          tinker.catalog.copyWeights(payload, request.headers["x-idempotency-key"]),
          payload.weights_access_token ?? request.headers["x-tinker-weights-access-token"]
        )
      )
      .handle("weightsInfo", ({ payload }) => tinker.catalog.weightsInfo(payload.tinker_path))
      .handle("externalWeightsUploadStart", ({ payload, request }) => uploads.start(request, payload))
      .handle("externalWeightsUploadFinish", ({ payload }) => uploads.finish(payload.upload_id))
  )
)
