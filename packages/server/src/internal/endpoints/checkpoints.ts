/** Handlers of the group `checkpoints`. */
import * as Checkpoint from "@effect-tinker/api/Checkpoint"
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TinkerService from "../../TinkerService.ts"
import { Downloads } from "../transfers/downloads.ts"

const encodeArchiveUrl = Schema.encodeSync(Checkpoint.ArchiveUrlResponse)

/** A redirect, which also has the URL in its body: some clients read the headers, some the body. */
const redirectToArchive = ({ expires, url }: { readonly url: string; readonly expires: DateTime.Utc }) =>
  HttpServerResponse.unsafeJson(encodeArchiveUrl({ url, expires }), {
    status: 302,
    headers: { location: url, expires: DateTime.toDateUtc(expires).toUTCString() }
  })

/** @internal */
export const checkpoints = HttpApiBuilder.group(TinkerApi, "checkpoints", (handlers) =>
  Effect.map(Effect.all([TinkerService.TinkerService, Downloads]), ([{ catalog }, { archiveUrl, externalUrls }]) =>
    handlers
      .handle("listCheckpoints", ({ path }) => catalog.listCheckpoints(path.training_run_id))
      .handle("listUserCheckpoints", ({ urlParams }) => catalog.listUserCheckpoints(urlParams))
      .handle("searchCheckpoints", ({ payload }) => catalog.searchCheckpoints(payload))
      .handle("deleteCheckpoint", ({ path }) => catalog.deleteCheckpoint(path))
      .handle("publishCheckpoint", ({ path }) => catalog.setPublic(path, true))
      .handle("unpublishCheckpoint", ({ path }) => catalog.setPublic(path, false))
      .handle("setCheckpointTtl", ({ path, payload }) => catalog.setTtl(path, payload.ttl_seconds))
      .handle("getCheckpointArchive", ({ path, request }) => Effect.map(archiveUrl(request, path), redirectToArchive))
      .handle("getExternalWeightsUrls", ({ path, request }) => externalUrls(request, path))
  )
)
