import type * as Weights from "@effect-tinker/api/Weights"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as TinkerService from "../../TinkerService.ts"
import * as apiErrors from "../http/apiErrors.ts"
import * as signing from "../auth/signing.ts"
import * as layout from "./layout.ts"
import * as responses from "../util/responses.ts"
import * as traces from "../records/traces.ts"
import * as tar from "./tar.ts"

type Request = HttpServerRequest.HttpServerRequest
type Refused = TinkerService.RequestRejection

/** Files of checkpoints at URLs that are leave enough to fetch them, for an hour. @internal */
export interface Downloads {
  /** all files of an adapter in one archive */
  readonly archive: (
    request: Request,
    path: TinkerPath.TinkerPath
  ) => Effect.Effect<{ readonly url: string; readonly expires: DateTime.Utc }, Refused>
  /** the files of an external checkpoint, each by its name */
  readonly external: (
    request: Request,
    path: TinkerPath.TinkerPath
  ) => Effect.Effect<Weights.ExternalWeightsUrlsResponse, Refused>
  /** what was done in a session */
  readonly trace: (request: Request, session: string) => Effect.Effect<string, Refused>
  /** the trace that a URL stands for */
  readonly openTrace: (
    session: string,
    query: URLSearchParams
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse, Refused>
  /** the file that a URL stands for */
  readonly open: (
    request: Request,
    path: TinkerPath.TinkerPath,
    file: string,
    query: URLSearchParams
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse, Refused>
}

const prefix = "/api/v1/downloads"
const lifetime = 60 * 60 * 1000

/** Whether a request is for a file whose URL is leave enough. @internal */
export const isDownload = ({ method, url }: Request): boolean =>
  (method === "GET" || method === "HEAD") && url.startsWith(`${prefix}/`)

const archiveName = ({ name }: TinkerPath.TinkerPath): string => `${name}.tar`

/** All of a file, or the part of it that is asked for; `changed` tells its versions apart. */
const answer = (
  { headers }: Request,
  bytes: Uint8Array,
  changed: number,
  contentType: string
): HttpServerResponse.HttpServerResponse => {
  const size = bytes.length
  const etag = `"${changed.toString(36)}-${size.toString(36)}"`
  const common = { "accept-ranges": "bytes", etag }
  const range = /^bytes=(\d+)-(\d*)$/.exec(headers["range"] ?? "")
  if (range === null || (headers["if-range"] ?? etag) !== etag) {
    return HttpServerResponse.uint8Array(bytes, { contentType, headers: common })
  }
  const first = Number(range[1])
  const last = Math.min(range[2] === "" ? size - 1 : Number(range[2]), size - 1)
  if (first > last) {
    const response = apiErrors.toResponse({ status: 416, detail: `the file has ${size} bytes` })
    return HttpServerResponse.setHeaders(response, { ...common, "content-range": `bytes */${size}` })
  }
  return HttpServerResponse.uint8Array(bytes.subarray(first, last + 1), {
    status: 206,
    contentType,
    headers: { ...common, "content-range": `bytes ${first}-${last}/${size}` }
  })
}

/** @internal */
export const make = (keys: ReadonlyArray<Redacted.Redacted<string>>) =>
  Effect.gen(function* () {
    const { catalog } = yield* TinkerService.TinkerService
    const sign = yield* signing.makeKeySign(keys, "downloads")

    const place = (path: TinkerPath.TinkerPath, file: string): string =>
      [path.training_run_id, path.kind, path.name, file].map(encodeURIComponent).join("/")

    const urlOf = (request: Request, place: string, expires: number) =>
      Effect.map(sign(`${expires}/${place}`), (signature) => {
        const url = `${prefix}/${place}?expires=${expires}&signature=${signature}`
        return Option.match(HttpServerRequest.toURL(request), {
          onNone: () => url,
          onSome: (own) => new URL(url, own).href
        })
      })

    const grant = Effect.fnUntraced(function* (
      request: Request,
      path: TinkerPath.TinkerPath,
      names: ReadonlyArray<string>
    ): Effect.fn.Return<{ readonly urls: ReadonlyArray<string>; readonly expires: DateTime.Utc }, Refused> {
      yield* catalog.weightsInfo(TinkerPath.format(path))
      const expires = (yield* Clock.currentTimeMillis) + lifetime
      const urls = yield* Effect.forEach(names, (name) => urlOf(request, place(path, name), expires))
      return { urls, expires: DateTime.unsafeMake(expires) }
    })

    /** Whether a URL is one that was given, and holds still. */
    const check = Effect.fnUntraced(function* (place: string, query: URLSearchParams): Effect.fn.Return<void, Refused> {
      const expires = query.get("expires") ?? ""
      const expected = yield* sign(`${expires}/${place}`)
      if (!signing.matches(expected, query.get("signature") ?? "")) {
        return yield* responses.forbidden("the signature of this URL is missing or wrong")
      }
      if (!(Number(expires) > (yield* Clock.currentTimeMillis))) {
        return yield* responses.gone("this URL has expired: ask for another")
      }
    })

    const placeOfTrace = (session: string) => `traces/${encodeURIComponent(session)}`

    const trace: Downloads["trace"] = Effect.fnUntraced(function* (request, session) {
      yield* catalog.trace(session)
      return yield* urlOf(request, placeOfTrace(session), (yield* Clock.currentTimeMillis) + lifetime)
    })

    const openTrace: Downloads["openTrace"] = (session, query) =>
      Effect.zipRight(
        check(placeOfTrace(session), query),
        Effect.map(catalog.trace(session), (found) =>
          HttpServerResponse.unsafeJson(traces.toChromeTrace(session, found))
        )
      )

    const external: Downloads["external"] = Effect.fnUntraced(function* (request, path) {
      if (path.kind !== "external_weights") {
        return yield* responses.badRequest(
          `${TinkerPath.format(path)} is not a checkpoint of the kind external_weights`
        )
      }
      const names = [layout.adapterFile, layout.configFile]
      const { expires, urls } = yield* grant(request, path, names)
      return { urls: Object.fromEntries(names.map((name, index) => [name, urls[index]!])), expires }
    })

    const open: Downloads["open"] = Effect.fnUntraced(function* (request, path, file, query) {
      yield* check(place(path, file), query)
      const { contents, created_at } = yield* catalog.files(path)
      if (file === archiveName(path)) {
        // by the last file readers tell that none is missing
        const all = [...contents, ["checkpoint_complete", new Uint8Array(0)] as const]
        return answer(request, tar.encode(all, created_at), created_at, "application/x-tar")
      }
      const found = contents.find(([name]) => name === file)
      if (found === undefined) return yield* responses.notFound(`there is no file ${file}`)
      const contentType = file.endsWith(".json") ? "application/json" : "application/octet-stream"
      return answer(request, found[1], created_at, contentType)
    })

    const out: Downloads = {
      archive: (request, path) =>
        Effect.map(grant(request, path, [archiveName(path)]), ({ expires, urls }) => ({ url: urls[0]!, expires })),
      external,
      open,
      trace,
      openTrace
    }
    return out
  })

const answered = (opened: Effect.Effect<HttpServerResponse.HttpServerResponse, Refused>) =>
  Effect.catchAll(opened, (error) => Effect.succeed(apiErrors.toResponse(apiErrors.fromRefusal(error))))

const queryOf = ({ url }: Request) => new URLSearchParams(url.split("?")[1] ?? "")

/** @internal */
export const layer = (downloads: Effect.Effect<Downloads, never, TinkerService.TinkerService>) =>
  HttpApiBuilder.Router.use((router) =>
    Effect.gen(function* () {
      const { open, openTrace } = yield* downloads
      yield* router.get(
        `${prefix}/traces/:session`,
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          const { session = "" } = yield* HttpRouter.params
          return yield* answered(openTrace(session, queryOf(request)))
        })
      )
      yield* router.get(
        `${prefix}/:run/:kind/:name/:file`,
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          const { file = "", kind = "", name = "", run = "" } = yield* HttpRouter.params
          const parsed = TinkerPath.parse(`tinker://${run}/${kind}/${name}`)
          return yield* answered(
            Option.isSome(parsed)
              ? open(request, parsed.value, file, queryOf(request))
              : Effect.fail(responses.notFound(`there is no file ${file}`))
          )
        })
      )
    })
  ) satisfies Layer.Layer<never, never, TinkerService.TinkerService>
