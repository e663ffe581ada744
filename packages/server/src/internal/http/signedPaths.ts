/** The paths whose URLs are signed: they authorize a request without an API key. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"

type Request = HttpServerRequest.HttpServerRequest

/** @internal */
export const downloads = "/api/v1/downloads"

/** @internal */
export const uploads = "/api/v1/uploads"

/** @internal */
export const isDownload = ({ method, url }: Request): boolean =>
  (method === "GET" || method === "HEAD") && url.startsWith(`${downloads}/`)

/** @internal */
export const isUpload = ({ method, url }: Request): boolean => method === "PUT" && url.startsWith(`${uploads}/`)
