/** Receives the files of adapters that were trained elsewhere, at signed URLs. */
import type * as Weights from "@effect-tinker/api/Weights"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TinkerService from "../../TinkerService.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as signing from "../auth/signing.ts"
import * as layout from "../checkpoints/layout.ts"
import { makeMutex } from "../effect/runtime.ts"
import * as bodies from "../http/bodies.ts"
import { readBody } from "../http/body/reader.ts"
import * as signedPaths from "../http/signedPaths.ts"
import * as ids from "../util/ids.ts"
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

interface Upload {
  readonly owner: string | undefined
  readonly request: Weights.ExternalWeightsUploadStartRequest
  /** milliseconds since the epoch */
  readonly expires: number
  readonly files: Map<string, Uint8Array>
  /** largest size of each file in bytes, by its name */
  readonly limits: ReadonlyMap<string, number>
  /** path of the imported adapter */
  finished: string | undefined
}

interface UploadContext {
  readonly catalog: TinkerService.Catalog
  readonly sign: Sign
  /** by id */
  readonly uploads: Map<string, Upload>
}

const fileNames: ReadonlyArray<string> = [layout.adapterFile, layout.configFile]

// size of the configuration, or of the header of a safetensors file
const overhead = 2 ** 20

// for each user, since the files are kept in memory
const maxUnfinished = 4

const notFound = (id: string) => responses.notFound(`there is no upload ${id}, or it has expired`)

const evictExpired = ({ uploads }: UploadContext): Effect.Effect<void> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    for (const [id, { expires }] of uploads) if (expires <= now) uploads.delete(id)
  })

const countUnfinished = ({ uploads }: UploadContext, owner: string | undefined): number =>
  Array.from(uploads.values()).filter((upload) => upload.owner === owner && upload.finished === undefined).length

const start = Effect.fnUntraced(function* (
  context: UploadContext,
  request: Request,
  payload: Weights.ExternalWeightsUploadStartRequest
): Effect.fn.Return<Weights.ExternalWeightsUploadStartResponse, TinkerService.RequestRejection> {
  const tensorBytes = yield* context.catalog.validateUpload(payload)
  const { id: owner } = yield* currentUser.CurrentUser
  yield* evictExpired(context)
  const unfinished = countUnfinished(context, owner)
  if (unfinished >= maxUnfinished) {
    return yield* responses.tooMany(`${unfinished} uploads are not finished: finish them, or wait until they expire`)
  }
  const id = yield* ids.uuid
  const expires = yield* signedUrls.nextExpiry
  const urls = yield* Effect.forEach(fileNames, (name) =>
    Effect.map(
      signedUrls.create(context.sign, request, signedPaths.uploads, `${id}/${name}`, expires),
      (url) => [name, url] as const
    )
  )
  const limits = new Map([
    [layout.configFile, overhead],
    [layout.adapterFile, tensorBytes + overhead]
  ])
  context.uploads.set(id, { owner, request: payload, expires, files: new Map(), limits, finished: undefined })
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
  context: UploadContext,
  request: Request,
  id: string,
  file: string,
  query: URLSearchParams
): Effect.fn.Return<void, TinkerService.RequestRejection> {
  yield* signedUrls.verify(context.sign, `${id}/${file}`, query)
  yield* evictExpired(context)
  const upload = context.uploads.get(id)
  if (upload === undefined) return yield* responses.gone("this URL has expired: start another upload")
  if (upload.finished !== undefined) return yield* responses.conflict(`upload ${id} is finished`)
  const room = (yield* context.catalog.uploadRoom(upload.owner)) + overhead
  const bytes = yield* readFile(request, file, upload.limits.get(file) ?? 0, room)
  // another request may have finished it while the body arrived
  if (context.uploads.get(id) !== upload || upload.finished !== undefined) {
    return yield* responses.conflict(`upload ${id} is finished, or has expired`)
  }
  upload.files.set(file, bytes)
})

const findOwned = Effect.fnUntraced(function* (
  context: UploadContext,
  id: string
): Effect.fn.Return<Upload, TinkerService.RequestRejection> {
  yield* evictExpired(context)
  const upload = context.uploads.get(id)
  if (upload === undefined) return yield* notFound(id)
  return yield* currentUser.authorize<Upload, TinkerService.RequestRejection>(
    upload.owner,
    () => Effect.succeed(upload),
    () => notFound(id)
  )
})

const finish = Effect.fnUntraced(function* (
  context: UploadContext,
  id: string
): Effect.fn.Return<Weights.ExternalWeightsUploadFinishResponse, TinkerService.RequestRejection> {
  const upload = yield* findOwned(context, id)
  // a retry, after the response was lost
  if (upload.finished !== undefined) return { tinker_path: upload.finished }
  const adapter = upload.files.get(layout.adapterFile)
  const config = upload.files.get(layout.configFile)
  if (adapter === undefined || config === undefined) {
    const missing = adapter === undefined ? layout.adapterFile : layout.configFile
    return yield* responses.badRequest(`${missing} has not been uploaded`)
  }
  const tinker_path = yield* context.catalog.importAdapter(upload.request, { adapter, config })
  upload.finished = tinker_path
  upload.files.clear()
  return { tinker_path }
})

/** @internal */
export const layer = (keys: signing.Keys): Layer.Layer<Uploads, never, TinkerService.TinkerService> =>
  Layer.effect(
    Uploads,
    Effect.gen(function* () {
      const { catalog } = yield* TinkerService.TinkerService
      const sign = yield* signing.makeKeySign(keys, "uploads")
      const context: UploadContext = { catalog, sign, uploads: new Map() }
      // an upload must not be imported twice
      const exclusively = yield* makeMutex
      return {
        start: (request, payload) => start(context, request, payload),
        put: (request, id, file, query) => put(context, request, id, file, query),
        finish: (id) => exclusively(finish(context, id))
      }
    })
  )
