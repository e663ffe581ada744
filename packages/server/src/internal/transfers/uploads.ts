/** Receives the files of adapters that were trained elsewhere, at signed URLs. */
import type * as Weights from "@effect-tinker/api/Weights"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TinkerService from "../../TinkerService.ts"
import * as signing from "../auth/signing.ts"
import * as layout from "../checkpoints/layout.ts"
import * as bodies from "../http/bodies.ts"
import { readBody } from "../http/body/reader.ts"
import * as signedPaths from "../http/signedPaths.ts"
import * as responses from "../util/responses.ts"
import type { Sign } from "../util/sha256.ts"
import * as signedUrls from "./signedUrls.ts"

type Request = HttpServerRequest.HttpServerRequest

/** Why an upload is rejected. */
type UploadEffect<A> = Effect.Effect<A, TinkerService.RequestRejection>

/** @internal */
export interface Service {
  /** Starts an upload: the response has a signed URL for each file. */
  readonly start: (
    request: Request,
    payload: Weights.ExternalWeightsUploadStartRequest
  ) => UploadEffect<Weights.ExternalWeightsUploadStartResponse>
  /** Receives a file. A later one of the same name replaces it. */
  readonly put: (request: Request, id: string, file: string, query: URLSearchParams) => UploadEffect<void>
  /** Imports the adapter. Later calls return the same path. */
  readonly finish: (id: string) => UploadEffect<Weights.ExternalWeightsUploadFinishResponse>
}

/** @internal */
export class Uploads extends Context.Tag("@effect-tinker/server/internal/Uploads")<Uploads, Service>() {}

interface UploadContext {
  readonly catalog: TinkerService.Catalog
  readonly sign: Sign
}

const fileNames: ReadonlyArray<string> = [layout.adapterFile, layout.configFile]

const start = Effect.fnUntraced(function* (
  { catalog, sign }: UploadContext,
  request: Request,
  payload: Weights.ExternalWeightsUploadStartRequest
): Effect.fn.Return<Weights.ExternalWeightsUploadStartResponse, TinkerService.RequestRejection> {
  const expires = yield* signedUrls.nextExpiry
  const id = yield* catalog.startUpload(payload, expires)
  const urls = yield* Effect.forEach(fileNames, (name) =>
    Effect.map(
      signedUrls.create(sign, request, signedPaths.uploads, `${id}/${name}`, expires),
      (url) => [name, url] as const
    )
  )
  return { upload_id: id, urls: Object.fromEntries(urls), expires: DateTime.unsafeMake(expires) }
})

/** Reads the body of a request, up to the limit of the file and the room in the user's quota, both in bytes. */
const readFile = (request: Request, file: string, limit: number, room: number): UploadEffect<Uint8Array> =>
  Effect.mapError(readBody(request, Math.min(limit, room)), (failure): TinkerService.RequestRejection => {
    switch (failure) {
      case "NoRoom":
        return responses.unavailable(bodies.noRoom.detail)
      case "Incomplete":
        return responses.badRequest(`${file} was not received completely: send it again`)
      case "TooLarge":
        return room < limit
          ? responses.insufficientStorage(`${file} is larger than the ${room} bytes that are left of your quota`)
          : responses.badRequest(`${file} is larger than its limit of ${limit} bytes`)
    }
  })

const put = Effect.fnUntraced(function* (
  { catalog, sign }: UploadContext,
  request: Request,
  id: string,
  file: string,
  query: URLSearchParams
): Effect.fn.Return<void, TinkerService.RequestRejection> {
  yield* signedUrls.verify(sign, `${id}/${file}`, query)
  const { limit, room } = yield* catalog.uploadRoom(id, file)
  yield* catalog.putUploadFile(id, file, yield* readFile(request, file, limit, room))
})

/** @internal */
export const layer = (keys: signing.Keys): Layer.Layer<Uploads, never, TinkerService.TinkerService> =>
  Layer.effect(
    Uploads,
    Effect.gen(function* () {
      const { catalog } = yield* TinkerService.TinkerService
      const context: UploadContext = { catalog, sign: yield* signing.makeKeySign(keys, "uploads") }
      return {
        start: (request, payload) => start(context, request, payload),
        put: (request, id, file, query) => put(context, request, id, file, query),
        finish: (id) => Effect.map(catalog.finishUpload(id), (tinker_path) => ({ tinker_path }))
      }
    })
  )
