import * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TinkerService from "../../TinkerService.ts"
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as downloads from "../checkpoints/downloads.ts"

const sessions = (makeDownloads: Effect.Effect<downloads.Downloads, never, TinkerService.TinkerService>) =>
  HttpApiBuilder.group(TinkerApi, "sessions", (handlers) =>
    Effect.map(Effect.all([TinkerService.TinkerService, makeDownloads]), ([{ catalog, finishSession }, { trace }]) =>
      handlers
        .handle("listSessions", ({ urlParams }) => catalog.listSessions(urlParams))
        .handle("searchSessions", ({ payload }) => catalog.searchSessions(payload))
        .handle("getSession", ({ path }) => catalog.getSession(path.session_id))
        .handle("finishSession", ({ path, payload }) => finishSession(path.session_id, payload))
        .handle("assignSessionProject", ({ path, payload }) =>
          catalog.assignProject(path.session_id, payload.project_id)
        )
        .handle("exportSessionTrace", ({ path, request }) =>
          Effect.map(trace(request, path.session_id), (url) => ({ status: "ready" as const, url }))
        )
    )
  )

const trainingRuns = HttpApiBuilder.group(TinkerApi, "trainingRuns", (handlers) =>
  Effect.map(TinkerService.TinkerService, ({ catalog }) =>
    handlers
      .handle("listTrainingRuns", ({ urlParams }) => catalog.listTrainingRuns(urlParams))
      .handle("getTrainingRun", ({ path, urlParams }) =>
        catalog.getTrainingRun(path.training_run_id, urlParams.access_scope)
      )
  )
)

const encodeArchive = Schema.encodeSync(Checkpoint.ArchiveUrlResponse)

const checkpoints = (makeDownloads: Effect.Effect<downloads.Downloads, never, TinkerService.TinkerService>) =>
  HttpApiBuilder.group(TinkerApi, "checkpoints", (handlers) =>
    Effect.map(Effect.all([TinkerService.TinkerService, makeDownloads]), ([{ catalog }, { archive, external }]) =>
      handlers
        .handle("listCheckpoints", ({ path }) => catalog.listCheckpoints(path.training_run_id))
        .handle("listUserCheckpoints", ({ urlParams }) => catalog.listUserCheckpoints(urlParams))
        .handle("searchCheckpoints", ({ payload }) => catalog.searchCheckpoints(payload))
        .handle("deleteCheckpoint", ({ path }) => catalog.deleteCheckpoint(path))
        .handle("publishCheckpoint", ({ path }) => catalog.setPublic(path, true))
        .handle("unpublishCheckpoint", ({ path }) => catalog.setPublic(path, false))
        .handle("setCheckpointTtl", ({ path, payload }) => catalog.setTtl(path, payload.ttl_seconds))
        // both forms in one: clients that know redirects alone read the headers
        .handle("getCheckpointArchive", ({ path, request }) =>
          Effect.map(archive(request, path), ({ expires, url }) =>
            HttpServerResponse.unsafeJson(encodeArchive({ url, expires }), {
              status: 302,
              headers: { location: url, expires: DateTime.toDateUtc(expires).toUTCString() }
            })
          )
        )
        .handle("getExternalWeightsUrls", ({ path, request }) => external(request, path))
    )
  )

const samplers = HttpApiBuilder.group(TinkerApi, "samplers", (handlers) =>
  Effect.map(TinkerService.TinkerService, ({ catalog }) =>
    handlers.handle("getSampler", ({ path }) => catalog.getSampler(path.sampler_id))
  )
)

const admin = HttpApiBuilder.group(TinkerApi, "admin", (handlers) =>
  Effect.map(TinkerService.TinkerService, ({ catalog }) =>
    handlers
      .handle("getAuditLog", ({ urlParams }) => catalog.auditLog(urlParams))
      .handle("getBillingUsage", ({ urlParams }) => catalog.usage(urlParams))
      .handle("getCheckpointStorage", () => catalog.storageUsage)
  )
)

/** Handlers of the endpoints that look things up and manage them. @internal */
export const layers = (makeDownloads: Effect.Effect<downloads.Downloads, never, TinkerService.TinkerService>) =>
  [
    sessions(makeDownloads),
    trainingRuns,
    checkpoints(makeDownloads),
    samplers,
    admin,
    downloads.layer(makeDownloads)
  ] as const
