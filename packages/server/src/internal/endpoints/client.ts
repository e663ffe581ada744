/** Handlers of the group `client`: flags, tokens, keys and telemetry. */
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import { ApiKeys } from "../auth/apiKeys.ts"
import * as responses from "../util/responses.ts"

/** @internal */
export const client = HttpApiBuilder.group(TinkerApi, "client", (handlers) =>
  Effect.map(ApiKeys, ({ token }) =>
    handlers
      // clients then cancel the samples that nobody waits for any more
      .handle("clientDynamicConfig", () => Effect.succeed({ sample_cancel_enabled: true }))
      .handle("authToken", () =>
        Effect.flatMap(token, (jwt) =>
          jwt === undefined
            ? responses.badRequest("this service issues no tokens (pjwt_auth_enabled is off): send the API key itself")
            : Effect.succeed({ jwt })
        )
      )
      .handle("getApiKey", () => responses.notFound("this service does not describe API keys"))
      .handle("deleteApiKey", () => responses.notFound("the API keys of this service are set when it starts"))
      .handle("sendTelemetry", () => Effect.succeed({ status: "accepted" as const }))
  )
)
