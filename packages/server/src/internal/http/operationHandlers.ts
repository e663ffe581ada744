import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as TinkerService from "../../TinkerService.ts"
import type * as apiKeys from "../auth/apiKeys.ts"
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as responses from "../util/responses.ts"
import * as uploads from "../checkpoints/uploads.ts"

const client = (keys: Effect.Effect<apiKeys.ApiKeys>) =>
  HttpApiBuilder.group(TinkerApi, "client", (handlers) =>
    Effect.map(keys, ({ token }) =>
      handlers
        .handle("clientDynamicConfig", () => Effect.succeed({}))
        .handle("authToken", () =>
          Effect.flatMap(token, (jwt) =>
            jwt === undefined
              ? responses.badRequest(
                  "this service takes keys as they are: pjwt_auth_enabled is off, and there are no tokens"
                )
              : Effect.succeed({ jwt })
          )
        )
        .handle("getApiKey", () => responses.notFound("this service knows nothing of a key but whose it is"))
        .handle("deleteApiKey", () => responses.notFound("the keys of this service are those that it was started with"))
        .handle("sendTelemetry", () => Effect.succeed({ status: "accepted" as const }))
    )
  )

const polling = HttpApiBuilder.group(TinkerApi, "polling", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("retrieveFutures", ({ payload }) => tinker.retrieveMany(payload))
      .handle("cancelFuture", ({ payload }) => tinker.cancel(payload.request_id))
      .handle("joinSamplingSession", ({ payload }) =>
        Effect.map(tinker.joinSamplingSession(payload.sampling_session_id), (client_counter) => ({
          client_counter,
          type: "join_sampling_session" as const
        }))
      )
  )
)

const modelOperations = HttpApiBuilder.group(TinkerApi, "modelOperations", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("unloadModel", ({ payload }) => tinker.unloadModel(payload.model_id))
      .handle("saveWeightsExternal", ({ payload }) => tinker.saveWeightsExternal(payload))
      .handle("createCustomLoss", () =>
        responses.badRequest(
          "this service does not run losses of clients: custom_loss_server_side is off, and the client computes them"
        )
      )
  )
)

const weightsOperations = (keys: Effect.Effect<apiKeys.ApiKeys>) =>
  HttpApiBuilder.group(TinkerApi, "weightsOperations", (handlers) =>
    Effect.map(
      Effect.all([TinkerService.TinkerService, keys, uploads.Uploads]),
      ([{ catalog }, { withAccess }, { finish, start }]) =>
        handlers
          .handle("copyWeights", ({ payload, request }) =>
            withAccess(
              catalog.copyWeights(payload, request.headers["x-idempotency-key"]),
              request.headers["x-tinker-weights-access-token"]
            )
          )
          .handle("weightsInfo", ({ payload }) => catalog.weightsInfo(payload.tinker_path))
          .handle("externalWeightsUploadStart", ({ payload, request }) => start(request, payload))
          .handle("externalWeightsUploadFinish", ({ payload }) => finish(payload.upload_id))
    )
  )

/** Handlers of the optional operations. @internal */
export const layers = (keys: Effect.Effect<apiKeys.ApiKeys>) =>
  [client(keys), polling, modelOperations, weightsOperations(keys), uploads.routes] as const
