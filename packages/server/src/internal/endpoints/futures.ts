/** Handlers of the group `futures`: clients poll for results one by one, or for all of a sampling session. */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import { TinkerApi } from "@effect-tinker/api/TinkerApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as TinkerService from "../../TinkerService.ts"

/** The encoding in which a client accepts the result. */
const acceptedFormat = ({ headers }: HttpServerRequest.HttpServerRequest) =>
  ProtobufCodec.isProtobuf(headers["accept"]) ? "protobuf" : "json"

const toResponse = (retrieved: TinkerService.Retrieved): HttpServerResponse.HttpServerResponse => {
  switch (retrieved._tag) {
    case "TryAgain":
      return HttpServerResponse.unsafeJson(retrieved.body)
    case "Large":
      return HttpServerResponse.unsafeJson({ status: "complete_metadata", response_payload_size: retrieved.size })
    case "Failed":
      return HttpServerResponse.unsafeJson({ error: retrieved.error, category: retrieved.category })
    case "Done":
      return HttpServerResponse.uint8Array(retrieved.bytes, {
        contentType: retrieved.format === "json" ? "application/json" : ProtobufCodec.contentType
      })
  }
}

/** Waits for a result, and responds with it in the encoding that the client accepts. @internal */
export const retrieve = (
  tinker: TinkerService.Service,
  payload: Parameters<TinkerService.Service["retrieve"]>[0],
  request: HttpServerRequest.HttpServerRequest
) => Effect.map(tinker.retrieve(payload, acceptedFormat(request)), toResponse)

/** @internal */
export const futures = HttpApiBuilder.group(TinkerApi, "futures", (handlers) =>
  Effect.map(TinkerService.TinkerService, (tinker) =>
    handlers
      .handle("retrieveFuture", ({ payload, request }) => retrieve(tinker, payload, request))
      .handle("retrieveFutures", ({ payload }) => tinker.retrieveMany(payload))
      .handle("cancelFuture", ({ payload }) => tinker.cancel(payload.request_id))
  )
)
