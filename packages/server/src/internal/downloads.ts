import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TinkerService from "../TinkerService.ts"
import * as apiErrors from "./apiErrors.ts"
import * as archives from "./archives.ts"

/** Whether a request is for a file whose URL is leave enough. @internal */
export const isDownload = ({ method, url }: HttpServerRequest.HttpServerRequest): boolean =>
  (method === "GET" || method === "HEAD") && url.startsWith(`${archives.prefix}/`)

/** The URL of a download, on the host that the request came to. @internal */
export const urlFor =
  (request: HttpServerRequest.HttpServerRequest) =>
  ({ path }: archives.Download): string =>
    Option.match(HttpServerRequest.toURL(request), {
      onNone: () => path,
      onSome: (url) => new URL(path, url).href
    })

/** @internal */
export const layer: Layer.Layer<never, never, TinkerService.TinkerService> = HttpApiBuilder.Router.use((router) =>
  Effect.flatMap(TinkerService.TinkerService, ({ archives: { open } }) =>
    router.get(
      `${archives.prefix}/:token/:file`,
      Effect.flatMap(HttpRouter.params, ({ file = "", token = "" }) =>
        Effect.match(open(token, file), {
          onFailure: (error) => apiErrors.toResponse(apiErrors.fromRefusal(error)),
          onSuccess: ({ bytes, contentType }) => HttpServerResponse.uint8Array(bytes, { contentType })
        })
      )
    )
  )
)
