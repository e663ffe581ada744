/** Grants signed URLs for the files of checkpoints and for traces of sessions, and reads what a URL names. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as Weights from "@effect-tinker/api/Weights"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TinkerService from "../../TinkerService.ts"
import * as signing from "../auth/signing.ts"
import * as layout from "../checkpoints/layout.ts"
import * as signedPaths from "../http/signedPaths.ts"
import * as traces from "../records/traces.ts"
import * as responses from "../util/responses.ts"
import type { Sign } from "../util/sha256.ts"
import type { DownloadFile } from "./byteRanges.ts"
import * as signedUrls from "./signedUrls.ts"
import * as tar from "./tar.ts"

type Request = HttpServerRequest.HttpServerRequest

/** Why a download is rejected. */
type Download<A> = Effect.Effect<A, TinkerService.RequestRejection>

/** @internal */
export interface Service {
  /** A URL of all files of an adapter, as a tar archive. */
  readonly archiveUrl: (
    request: Request,
    path: TinkerPath.TinkerPath
  ) => Download<{ readonly url: string; readonly expires: DateTime.Utc }>
  /** URLs of the files of an external checkpoint, by file name. */
  readonly externalUrls: (
    request: Request,
    path: TinkerPath.TinkerPath
  ) => Download<Weights.ExternalWeightsUrlsResponse>
  /** A URL of the trace of a session. */
  readonly traceUrl: (request: Request, session: string) => Download<string>
  /** The trace that a signed URL names. */
  readonly openTrace: (session: string, query: URLSearchParams) => Download<object>
  /** The file that a signed URL names. */
  readonly openFile: (path: TinkerPath.TinkerPath, file: string, query: URLSearchParams) => Download<DownloadFile>
}

/** @internal */
export class Downloads extends Context.Tag("@effect-tinker/server/internal/Downloads")<Downloads, Service>() {}

interface DownloadContext {
  readonly catalog: TinkerService.Catalog
  readonly sign: Sign
}

const archiveName = ({ name }: TinkerPath.TinkerPath): string => `${name}.tar`

// without it, readers consider the archive truncated
const archiveEnd = ["checkpoint_complete", new Uint8Array(0)] as const

const fileOf = (path: TinkerPath.TinkerPath, name: string): string =>
  [path.training_run_id, path.kind, path.name, name].map(encodeURIComponent).join("/")

const traceOf = (session: string): string => `traces/${encodeURIComponent(session)}`

const verify = Effect.fnUntraced(function* (
  { sign }: DownloadContext,
  file: string,
  query: URLSearchParams
): Effect.fn.Return<void, TinkerService.RequestRejection> {
  yield* signedUrls.verify(sign, file, query)
  if (yield* signedUrls.isExpired(query)) yield* responses.gone("this URL has expired: request another")
})

/** URLs of files of a checkpoint that the current user may read. */
const fileUrls = Effect.fnUntraced(function* (
  { catalog, sign }: DownloadContext,
  request: Request,
  path: TinkerPath.TinkerPath,
  names: ReadonlyArray<string>
): Effect.fn.Return<
  { readonly urls: ReadonlyArray<string>; readonly expires: DateTime.Utc },
  TinkerService.RequestRejection
> {
  yield* catalog.weightsInfo(TinkerPath.format(path))
  const expires = yield* signedUrls.nextExpiry
  const urls = yield* Effect.forEach(names, (name) =>
    signedUrls.create(sign, request, signedPaths.downloads, fileOf(path, name), expires)
  )
  return { urls, expires: DateTime.unsafeMake(expires) }
})

const archiveUrl = (context: DownloadContext, request: Request, path: TinkerPath.TinkerPath) =>
  Effect.map(fileUrls(context, request, path, [archiveName(path)]), ({ expires, urls }) => ({
    url: urls[0]!,
    expires
  }))

const externalUrls = Effect.fnUntraced(function* (
  context: DownloadContext,
  request: Request,
  path: TinkerPath.TinkerPath
): Effect.fn.Return<Weights.ExternalWeightsUrlsResponse, TinkerService.RequestRejection> {
  if (path.kind !== "external_weights") {
    return yield* responses.badRequest(`${TinkerPath.format(path)} is not an external checkpoint (external_weights)`)
  }
  const names = [layout.adapterFile, layout.configFile]
  const { expires, urls } = yield* fileUrls(context, request, path, names)
  return { urls: Object.fromEntries(names.map((name, index) => [name, urls[index]!])), expires }
})

const traceUrl = Effect.fnUntraced(function* (
  { catalog, sign }: DownloadContext,
  request: Request,
  session: string
): Effect.fn.Return<string, TinkerService.RequestRejection> {
  yield* catalog.trace(session)
  const expires = yield* signedUrls.nextExpiry
  return yield* signedUrls.create(sign, request, signedPaths.downloads, traceOf(session), expires)
})

const openTrace = Effect.fnUntraced(function* (
  context: DownloadContext,
  session: string,
  query: URLSearchParams
): Effect.fn.Return<object, TinkerService.RequestRejection> {
  yield* verify(context, traceOf(session), query)
  return traces.toChromeTrace(session, yield* context.catalog.trace(session))
})

const openFile = Effect.fnUntraced(function* (
  context: DownloadContext,
  path: TinkerPath.TinkerPath,
  file: string,
  query: URLSearchParams
): Effect.fn.Return<DownloadFile, TinkerService.RequestRejection> {
  yield* verify(context, fileOf(path, file), query)
  const { contents, created_at: modified } = yield* context.catalog.files(path)
  if (file === archiveName(path)) {
    return { bytes: tar.encode([...contents, archiveEnd], modified), contentType: "application/x-tar", modified }
  }
  const bytes = contents.find(([name]) => name === file)?.[1]
  if (bytes === undefined) return yield* responses.notFound(`there is no file ${file}`)
  return { bytes, contentType: file.endsWith(".json") ? "application/json" : "application/octet-stream", modified }
})

/** @internal */
export const layer = (keys: signing.Keys): Layer.Layer<Downloads, never, TinkerService.TinkerService> =>
  Layer.effect(
    Downloads,
    Effect.gen(function* () {
      const { catalog } = yield* TinkerService.TinkerService
      const context: DownloadContext = { catalog, sign: yield* signing.makeKeySign(keys, "downloads") }
      return {
        archiveUrl: (request, path) => archiveUrl(context, request, path),
        externalUrls: (request, path) => externalUrls(context, request, path),
        traceUrl: (request, session) => traceUrl(context, request, session),
        openTrace: (session, query) => openTrace(context, session, query),
        openFile: (path, file, query) => openFile(context, path, file, query)
      }
    })
  )
