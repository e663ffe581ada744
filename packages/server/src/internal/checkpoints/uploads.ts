import type * as Weights from "@effect-tinker/api/Weights"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TinkerService from "../../TinkerService.ts"
import * as apiErrors from "../http/apiErrors.ts"
import * as signing from "../auth/signing.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as layout from "./layout.ts"
import * as ids from "../util/ids.ts"
import * as messages from "../http/messages.ts"
import * as responses from "../util/responses.ts"

type Request = HttpServerRequest.HttpServerRequest
type Refused<A> = Effect.Effect<A, TinkerService.RequestRejection>

/** Adapters that were made elsewhere: their files come to URLs that are leave enough to bring them, for an hour. @internal */
export interface Service {
  readonly start: (
    request: Request,
    payload: Weights.ExternalWeightsUploadStartRequest
  ) => Refused<Weights.ExternalWeightsUploadStartResponse>
  readonly put: (request: Request, id: string, file: string, query: URLSearchParams) => Refused<void>
  readonly finish: (id: string) => Refused<Weights.ExternalWeightsUploadFinishResponse>
}

/** @internal */
export class Uploads extends Context.Tag("@effect-tinker/server/internal/Uploads")<Uploads, Service>() {}

interface Upload {
  readonly owner: string | undefined
  readonly request: Weights.ExternalWeightsUploadStartRequest
  readonly expires: number
  readonly files: Map<string, Uint8Array>
  /** bytes that a file may have, by its name */
  readonly limits: ReadonlyMap<string, number>
  finished: string | undefined
}

const prefix = "/api/v1/uploads"
const lifetime = 60 * 60 * 1000
const names: ReadonlyArray<string> = [layout.adapterFile, layout.configFile]

// what a configuration may take, and the header of a file of tensors
const slack = 2 ** 20

// of one user: their files are in memory
const maxUnfinished = 4

/** Whether a request brings a file to a URL that is leave enough. @internal */
export const isUpload = ({ method, url }: Request): boolean => method === "PUT" && url.startsWith(`${prefix}/`)

const make = (keys: ReadonlyArray<Redacted.Redacted<string>>) =>
  Effect.gen(function* () {
    const { catalog } = yield* TinkerService.TinkerService
    const sign = yield* signing.makeKeySign(keys, "uploads")
    const uploads = new Map<string, Upload>()

    const prune = Effect.map(Clock.currentTimeMillis, (now) => {
      for (const [id, { expires }] of uploads) if (expires <= now) uploads.delete(id)
      return now
    })

    const missing = (id: string) => responses.notFound(`there is no upload ${id}, or it has expired`)

    const start: Service["start"] = Effect.fnUntraced(function* (request, payload) {
      const size = yield* catalog.validateUpload(payload)
      const { id: owner } = yield* currentUser.CurrentUser
      const now = yield* prune
      const unfinished = Array.from(uploads.values()).filter(
        (upload) => upload.owner === owner && upload.finished === undefined
      ).length
      if (unfinished >= maxUnfinished) {
        return yield* responses.tooMany(
          `${unfinished} uploads are not finished: finish them, or wait until they expire`
        )
      }
      const id = yield* ids.uuid
      const expires = now + lifetime
      const urls = yield* Effect.forEach(names, (name) =>
        Effect.map(sign(`${expires}/${id}/${name}`), (signature) => {
          const url = `${prefix}/${id}/${name}?expires=${expires}&signature=${signature}`
          return [
            name,
            Option.match(HttpServerRequest.toURL(request), {
              onNone: () => url,
              onSome: (own) => new URL(url, own).href
            })
          ] as const
        })
      )
      const limits = new Map([
        [layout.configFile, slack],
        [layout.adapterFile, size + slack]
      ])
      uploads.set(id, { owner, request: payload, expires, files: new Map(), limits, finished: undefined })
      return { upload_id: id, urls: Object.fromEntries(urls), expires: DateTime.unsafeMake(expires) }
    })

    const put: Service["put"] = Effect.fnUntraced(function* (request, id, file, query) {
      const expires = query.get("expires") ?? ""
      const expected = yield* sign(`${expires}/${id}/${file}`)
      if (!signing.matches(expected, query.get("signature") ?? "")) {
        return yield* responses.forbidden("the signature of this URL is missing or wrong")
      }
      yield* prune
      const upload = uploads.get(id)
      if (upload === undefined) return yield* responses.gone("this URL has expired: start another upload")
      if (upload.finished !== undefined) return yield* responses.conflict(`upload ${id} is finished`)
      const limit = upload.limits.get(file) ?? 0
      let received = 0
      const bounded = request.stream.pipe(
        Stream.mapError(() => responses.badRequest(`${file} did not arrive whole: send it again`)),
        Stream.tap(({ length }) => {
          received += length
          return received > limit
            ? responses.badRequest(`${file} is larger than the ${limit} bytes that it may have`)
            : Effect.void
        })
      )
      const bytes = yield* messages.collect(bounded)
      // it may have been finished meanwhile
      if (uploads.get(id) !== upload || upload.finished !== undefined) {
        return yield* responses.conflict(`upload ${id} is finished, or has expired`)
      }
      upload.files.set(file, bytes)
    })

    const finish: Service["finish"] = Effect.fnUntraced(function* (id) {
      yield* prune
      const upload = uploads.get(id)
      if (upload === undefined) return yield* missing(id)
      yield* currentUser.authorize<void, TinkerService.RequestRejection>(
        upload.owner,
        () => Effect.void,
        () => missing(id)
      )
      // asked again, for an answer that was lost
      if (upload.finished !== undefined) return { tinker_path: upload.finished }
      const [adapter, config] = names.map((name) => upload.files.get(name))
      if (adapter === undefined || config === undefined) {
        return yield* responses.badRequest(`${adapter === undefined ? names[0] : names[1]} has not been uploaded`)
      }
      const tinker_path = yield* catalog.importAdapter(upload.request, { adapter, config })
      upload.finished = tinker_path
      upload.files.clear()
      return { tinker_path }
    })

    const lock = yield* Effect.makeSemaphore(1)
    const out: Service = { start, put, finish: (id) => lock.withPermits(1)(finish(id)) }
    return out
  })

/** @internal */
export const layer = (
  keys: ReadonlyArray<Redacted.Redacted<string>>
): Layer.Layer<Uploads, never, TinkerService.TinkerService> => Layer.effect(Uploads, make(keys))

/** Where files come to. @internal */
export const routes: Layer.Layer<never, never, Uploads> = HttpApiBuilder.Router.use((router) =>
  Effect.flatMap(Uploads, ({ put }) =>
    router.put(
      `${prefix}/:id/:file`,
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const { file = "", id = "" } = yield* HttpRouter.params
        const query = new URLSearchParams(request.url.split("?")[1] ?? "")
        return yield* Effect.match(put(request, id, file, query), {
          onFailure: (error) => apiErrors.toResponse(apiErrors.fromRefusal(error)),
          onSuccess: () => HttpServerResponse.empty({ status: 200 })
        })
      })
    )
  )
)
