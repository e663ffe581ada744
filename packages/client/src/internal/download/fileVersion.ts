/** Which version of a file a response has, and which part of it. */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"

type Response = HttpClientResponse.HttpClientResponse

/** Identifies a version of a file on a server, as far as the headers allow. @internal */
export interface FileVersion {
  /** in bytes */
  readonly total: number | undefined
  /** a strong ETag, else the time of the last change: what `If-Range` takes */
  readonly validator: string | undefined
}

/** A compressed response has other bytes than the file, and cannot be resumed. @internal */
export const isEncoded = ({ headers }: Response): boolean => (headers["content-encoding"] ?? "identity") !== "identity"

const contentLength = (response: Response): number | undefined => {
  const length = response.headers["content-length"]
  return !isEncoded(response) && length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined
}

/**
 * The offset of a response's bytes in the file, and the size of the file; `undefined` if they are not the bytes that were
 * requested. @internal
 */
export const readRange = (
  response: Response,
  requestedOffset: number
): { readonly offset: number; readonly total: number | undefined } | undefined => {
  // a server that does not support ranges sends the whole file
  if (response.status !== 206) return { offset: 0, total: contentLength(response) }
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers["content-range"] ?? "")
  if (range === null || Number(range[1]) !== requestedOffset) return undefined
  return { offset: requestedOffset, total: range[2] === "*" ? undefined : Number(range[2]) }
}

/** A weak ETag does not identify bytes. @internal */
export const validatorOf = (response: Response): string | undefined => {
  const { etag, "last-modified": modified } = response.headers
  if (isEncoded(response)) return undefined
  return etag !== undefined && etag.startsWith('"') ? etag : modified
}

/** Whether a range is of another version than the bytes before it. @internal */
export const isOtherVersion = (known: FileVersion, response: Response, total: number | undefined): boolean => {
  const validator = validatorOf(response)
  if (isEncoded(response)) return true
  if (known.total !== undefined && total !== undefined && known.total !== total) return true
  // a range has the ETag of its file, but need not repeat a time
  return validator === undefined
    ? known.validator?.startsWith('"') === true
    : (known.validator ?? validator) !== validator
}
