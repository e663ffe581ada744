/** Routes of signed URLs, which are not part of the HTTP contract. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as TinkerService from "../../TinkerService.ts"
import * as apiErrors from "../http/apiErrors.ts"
import * as signedPaths from "../http/signedPaths.ts"
import * as responses from "../util/responses.ts"
import * as byteRanges from "./byteRanges.ts"
import * as downloads from "./downloads.ts"
import { queryOf } from "./signedUrls.ts"
import * as uploads from "./uploads.ts"

/** Responds with the error that a request was rejected with. */
const orErrorResponse = <R>(
  response: Effect.Effect<HttpServerResponse.HttpServerResponse, TinkerService.RequestRejection, R>
) => Effect.catchAll(response, (error) => Effect.succeed(apiErrors.toResponse(apiErrors.fromErrorResponse(error))))

const getTrace = ({ openTrace }: downloads.Service) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { session = "" } = yield* HttpRouter.params
    return HttpServerResponse.unsafeJson(yield* openTrace(session, queryOf(request)))
  }).pipe(orErrorResponse)

const getFile = ({ openFile }: downloads.Service) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { file = "", kind = "", name = "", run = "" } = yield* HttpRouter.params
    const path = TinkerPath.parse(`tinker://${run}/${kind}/${name}`)
    if (Option.isNone(path)) return yield* responses.notFound(`there is no file ${file}`)
    return byteRanges.respond(request, yield* openFile(path.value, file, queryOf(request)))
  }).pipe(orErrorResponse)

const putFile = ({ put }: uploads.Service) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { file = "", id = "" } = yield* HttpRouter.params
    yield* put(request, id, file, queryOf(request))
    return HttpServerResponse.empty({ status: 200 })
  }).pipe(orErrorResponse)

const downloadRoutes: Layer.Layer<never, never, downloads.Downloads> = HttpApiBuilder.Router.use((router) =>
  Effect.gen(function* () {
    const service = yield* downloads.Downloads
    yield* router.get(`${signedPaths.downloads}/traces/:session`, getTrace(service))
    yield* router.get(`${signedPaths.downloads}/:run/:kind/:name/:file`, getFile(service))
  })
)

const uploadRoutes: Layer.Layer<never, never, uploads.Uploads> = HttpApiBuilder.Router.use((router) =>
  Effect.flatMap(uploads.Uploads, (service) => router.put(`${signedPaths.uploads}/:id/:file`, putFile(service)))
)

/** @internal */
export const layer: Layer.Layer<never, never, downloads.Downloads | uploads.Uploads> = Layer.merge(
  downloadRoutes,
  uploadRoutes
)
