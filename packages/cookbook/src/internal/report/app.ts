/** The two addresses of a live page: the page, and the data of the run as they are now. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as read from "./read.ts"

type Response = HttpServerResponse.HttpServerResponse

/** A page of another site may resolve its name to this computer: it would ask under that name. */
const isLocal = (host: string | undefined): boolean =>
  host !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(host)

const headers = { "cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" }

const failed = (error: read.ReportError): Response => HttpServerResponse.text(error.message, { status: 500, headers })

/** Reads the run again only when one of its files has changed. */
const makeData = (directory: string) => {
  let last: { readonly tag: string; readonly body: string } | undefined
  return Effect.fnUntraced(function* (known: string | undefined) {
    const tag = `"${yield* read.versionOf(directory)}"`
    if (known === tag) return HttpServerResponse.empty({ status: 304, headers })
    if (last?.tag !== tag) last = { tag, body: JSON.stringify(yield* read.read(directory)) }
    return HttpServerResponse.text(last.body, { contentType: "application/json", headers: { ...headers, etag: tag } })
  })
}

/** @internal */
export const make = (
  directory: string,
  page: Effect.Effect<string, read.ReportError, FileSystem.FileSystem>
): Effect.Effect<
  Effect.Effect<Response, never, HttpServerRequest.HttpServerRequest | FileSystem.FileSystem | Path.Path>
> =>
  Effect.sync(() => {
    const data = makeData(directory)
    const respond = (request: HttpServerRequest.HttpServerRequest) => {
      if (!isLocal(request.headers["host"])) {
        return Effect.succeed(HttpServerResponse.text("use the address of this computer", { status: 421, headers }))
      }
      if (request.method !== "GET") return Effect.succeed(HttpServerResponse.empty({ status: 405, headers }))
      if (request.url === "/data") return data(request.headers["if-none-match"])
      if (request.url !== "/") return Effect.succeed(HttpServerResponse.empty({ status: 404, headers }))
      return Effect.map(page, (text) =>
        HttpServerResponse.text(text, { contentType: "text/html; charset=utf-8", headers })
      )
    }
    return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.catchAll(respond(request), (error) => Effect.succeed(failed(error)))
    )
  })
