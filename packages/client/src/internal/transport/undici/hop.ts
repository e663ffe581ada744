/// <reference types="node" />
/** One request of an HttpClient as undici sends it. A redirect leads to another one. */
import type * as HttpBody from "@effect/platform/HttpBody"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Readable } from "node:stream"
import type * as Undici from "undici"
import { requestError } from "../../effect/httpErrors.ts"
import { toAsyncIterable } from "../../effect/runtime.ts"
import { acceptEncoding } from "./decoders.ts"
import type { TransformRequest } from "./transformRequest.ts"

/** @internal */
export type HeaderRecord = Record<string, string>

/** @internal */
export interface Hop {
  readonly request: HttpClientRequest.HttpClientRequest
  readonly method: string
  readonly url: URL
  readonly headers: HeaderRecord
  readonly body: Undici.Dispatcher.DispatchOptions["body"]
}

/** @internal */
export interface Body {
  readonly content: Undici.Dispatcher.DispatchOptions["body"]
  readonly contentType?: string
}

const formDataBody = (request: HttpClientRequest.HttpClientRequest, formData: FormData) =>
  Effect.tryPromise({
    // encoded by Node's own Response, since its FormData is of another undici
    try: async (): Promise<Body> => {
      const encoded = new globalThis.Response(formData)
      return {
        content: new Uint8Array(await encoded.arrayBuffer()),
        contentType: encoded.headers.get("content-type")!
      }
    },
    catch: (cause) => requestError(request, "Encode", { cause })
  })

const streamBody = (stream: HttpBody.Stream["stream"]): Effect.Effect<Body> =>
  Effect.map(toAsyncIterable(stream), (iterable) => ({ content: Readable.from(iterable) }))

/** The body as undici takes it; an effect where it must be encoded first. @internal */
export const bodyOf = (
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<Body, HttpClientError.RequestError> | Body => {
  const { body } = request
  switch (body._tag) {
    case "Empty":
      return { content: null }
    case "Uint8Array":
    case "Raw":
      return { content: body.body as Uint8Array }
    case "FormData":
      return formDataBody(request, body.formData)
    case "Stream":
      return streamBody(body.stream)
  }
}

/** The first request; fails with `InvalidUrl` if it has no http(s) URL. @internal */
export const firstHop = (
  request: HttpClientRequest.HttpClientRequest,
  { content, contentType }: Body
): Either.Either<Hop, HttpClientError.RequestError> => {
  const made = UrlParams.makeUrl(request.url, request.urlParams, request.hash)
  if (Either.isLeft(made)) return Either.left(requestError(request, "InvalidUrl", { cause: made.left }))
  const url = made.right
  if (!isHttp(url)) return Either.left(requestError(request, "InvalidUrl", { description: url.protocol }))
  const headers: HeaderRecord = { ...request.headers }
  if (contentType !== undefined) headers["content-type"] = contentType
  // a part of a compressed body cannot be decompressed
  if (headers["accept-encoding"] === undefined && headers["range"] === undefined) {
    headers["accept-encoding"] = acceptEncoding
  }
  return Either.right({ request, method: request.method, url, headers, body: content ?? null })
}

/** @internal */
export const isHttp = ({ protocol }: URL) => protocol === "http:" || protocol === "https:"

/** Applies a `transformRequest`. @internal */
export const transformHop = (
  transform: TransformRequest,
  hop: Hop
): Either.Either<Hop, HttpClientError.RequestError> => {
  const body = typeof hop.body === "string" || hop.body instanceof Uint8Array ? hop.body : undefined
  const changed = transform({ method: hop.method, url: hop.url.href, headers: hop.headers, body })
  const url = URL.canParse(changed.url) ? new URL(changed.url) : undefined
  if (url === undefined || !isHttp(url)) {
    return Either.left(requestError(hop.request, "InvalidUrl", { description: changed.url }))
  }
  const headers = { ...changed.headers }
  if (changed.body === body) return Either.right({ ...hop, method: changed.method, url, headers })
  // undici counts the new body
  delete headers["content-length"]
  return Either.right({ ...hop, method: changed.method, url, headers, body: changed.body ?? null })
}
