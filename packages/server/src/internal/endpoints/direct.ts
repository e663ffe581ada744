/**
 * The two endpoints that every sample passes, without the router and the layers of `HttpApi`, which cost more than the
 * sample of a test. They answer what the handlers of `TinkerApi` answer.
 */
import * as Future from "@effect-tinker/api/Future"
import * as Sampling from "@effect-tinker/api/Sampling"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as TinkerService from "../../TinkerService.ts"
import * as bodies from "../http/bodies.ts"
import type { DirectApps } from "../util/directApps.ts"
import { retrieve } from "./futures.ts"
import { wantsLines } from "./sampling.ts"

type Request = HttpServerRequest.HttpServerRequest

const encodeEnvelope = Schema.encodeSync(Future.FutureEnvelope)

const sample = (tinker: TinkerService.Service) => (request: Request) =>
  Effect.flatMap(
    bodies.decodeJson(request, () => Sampling.SampleRequest),
    (payload) =>
      Effect.map(tinker.sample(payload), (envelope) => HttpServerResponse.unsafeJson(encodeEnvelope(envelope)))
  )

const retrieveFuture = (tinker: TinkerService.Service) => (request: Request) =>
  Effect.flatMap(
    bodies.decodeJson(request, () => Future.RetrieveFutureRequest),
    (payload) => retrieve(tinker, payload, request)
  )

/** @internal */
export const make = (tinker: TinkerService.Service): DirectApps => {
  const apps: DirectApps = new Map([
    ["/api/v1/asample", { handle: sample(tinker), takes: (request: Request) => !wantsLines(request) }],
    ["/api/v1/retrieve_future", { handle: retrieveFuture(tinker), takes: () => true }]
  ])
  return apps
}
