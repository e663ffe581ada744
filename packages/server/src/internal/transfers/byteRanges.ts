/** Responds with a file, or with the byte range that the request names. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as apiErrors from "../http/apiErrors.ts"

/** @internal */
export interface DownloadFile {
  readonly bytes: Uint8Array
  readonly contentType: string
  /** when it was last changed, in milliseconds since the epoch: its ETag depends on it */
  readonly modified: number
}

const rangeNotSatisfiable = (size: number, headers: { readonly [name: string]: string }) =>
  HttpServerResponse.setHeaders(apiErrors.toResponse({ status: 416, detail: `the file has ${size} bytes` }), {
    ...headers,
    "content-range": `bytes */${size}`
  })

/** Status 200 with the whole file, 206 with one range of it, or 416. @internal */
export const respond = (
  { headers }: HttpServerRequest.HttpServerRequest,
  { bytes, contentType, modified }: DownloadFile
): HttpServerResponse.HttpServerResponse => {
  const size = bytes.length
  const etag = `"${modified.toString(36)}-${size.toString(36)}"`
  const common = { "accept-ranges": "bytes", etag }
  const range = /^bytes=(\d+)-(\d*)$/.exec(headers["range"] ?? "")
  if (range === null || (headers["if-range"] ?? etag) !== etag) {
    return HttpServerResponse.uint8Array(bytes, { contentType, headers: common })
  }
  const first = Number(range[1])
  const last = Math.min(range[2] === "" ? size - 1 : Number(range[2]), size - 1)
  if (first > last) return rangeNotSatisfiable(size, common)
  return HttpServerResponse.uint8Array(bytes.subarray(first, last + 1), {
    status: 206,
    contentType,
    headers: { ...common, "content-range": `bytes ${first}-${last}/${size}` }
  })
}
