/** Handlers of the group `sessions`. */
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as TinkerService from "../../TinkerService.ts"
import { Downloads } from "../transfers/downloads.ts"

/** @internal */
export const sessions = HttpApiBuilder.group(TinkerApi, "sessions", (handlers) =>
  Effect.map(Effect.all([TinkerService.TinkerService, Downloads]), ([{ catalog, finishSession }, { traceUrl }]) =>
    handlers
      .handle("listSessions", ({ urlParams }) => catalog.listSessions(urlParams))
      .handle("searchSessions", ({ payload }) => catalog.searchSessions(payload))
      .handle("getSession", ({ path }) => catalog.getSession(path.session_id))
      .handle("finishSession", ({ path, payload }) => finishSession(path.session_id, payload))
      .handle("assignSessionProject", ({ path, payload }) => catalog.assignProject(path.session_id, payload.project_id))
      .handle("exportSessionTrace", ({ path, request }) =>
        Effect.map(traceUrl(request, path.session_id), (url) => ({ status: "ready" as const, url }))
      )
  )
)
