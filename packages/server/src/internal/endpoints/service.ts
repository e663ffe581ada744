/** Handlers of the group `service`: configuration, capabilities and sessions. */
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as TinkerService from "../../TinkerService.ts"
import { ApiKeys } from "../auth/apiKeys.ts"

/** @internal */
export const service = HttpApiBuilder.group(TinkerApi, "service", (handlers) =>
  Effect.map(Effect.all([TinkerService.TinkerService, ApiKeys]), ([tinker, { issuesTokens }]) =>
    handlers
      .handle("clientConfig", () =>
        Effect.succeed({ ...tinker.clientConfig, ...(issuesTokens ? { pjwt_auth_enabled: true } : {}) })
      )
      .handle("healthz", () => Effect.succeed({ status: "ok" as const }))
      .handle("getServerCapabilities", () => Effect.succeed(tinker.capabilities))
      .handle("createSession", ({ payload }) => tinker.createSession(payload))
      .handle("sessionHeartbeat", ({ payload }) =>
        Effect.as(tinker.sessionHeartbeat(payload.session_id), { type: "session_heartbeat" })
      )
  )
)
