/// <reference types="node" />
/** An HttpClient over a dispatcher of undici. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import type * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Readable } from "node:stream"
import type * as Undici from "undici"
import { requestError } from "../../effect/httpErrors.ts"
import { withCaller } from "../../effect/runtime.ts"
import { acceptEncoding, decoderFor } from "./decoders.ts"
import { abortError, IncomingBody } from "./incomingBody.ts"
import { UndiciResponse } from "./response.ts"
import type { TransformRequest } from "./transformRequest.ts"

// a response up to this size is buffered before it is given to the caller
const bufferedBytes = 64 * 1024
// how much of a larger body may wait for its reader
const maxUnreadBytes = 256 * 1024
const maxRedirects = 10

const secretNames = [
  "authorization",
  "cf-access-client-id",
  "cf-access-client-secret",
  "cookie",
  "proxy-authorization",
  "x-api-key",
  "x-tinker-weights-access-token"
]

type HeaderRecord = Record<string, string>

interface Hop {
  readonly request: HttpClientRequest.HttpClientRequest
  readonly method: string
  readonly url: URL
  readonly headers: HeaderRecord
  readonly body: Undici.Dispatcher.DispatchOptions["body"]
}

interface Body {
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
  Effect.map(Effect.runtime<never>(), (runtime) => ({
    content: Readable.from(Stream.toAsyncIterableRuntime(stream, runtime))
  }))

const bodyOf = (
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

/** What is sent first; `InvalidUrl` where the URL is not one that can be fetched. */
const firstHop = (
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

const isHttp = ({ protocol }: URL) => protocol === "http:" || protocol === "https:"

const transformHop = (transform: TransformRequest, hop: Hop): Either.Either<Hop, HttpClientError.RequestError> => {
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

/** Collects a response: all of a small one, the head of a large one, whose body is read later. */
class ResponseHandler implements Undici.Dispatcher.DispatchHandler {
  readonly #hop: Hop
  readonly #incoming = new IncomingBody()
  #resume: ((exit: Effect.Effect<UndiciResponse, HttpClientError.RequestError>) => void) | undefined
  // an interruption may come before there is a connection
  #cancelled = false
  // until it is given away, for what the body reaches must not reach the response, which would never be collected
  #response: UndiciResponse | undefined = undefined

  constructor(hop: Hop, resume: (exit: Effect.Effect<UndiciResponse, HttpClientError.RequestError>) => void) {
    this.#hop = hop
    this.#resume = resume
  }

  cancel() {
    this.#cancelled = true
    this.#incoming.abort(abortError())
  }

  onRequestStart(controller: Undici.Dispatcher.DispatchController) {
    this.#incoming.controller = controller
    if (this.#cancelled) controller.abort(abortError())
  }

  onResponseStart(_: unknown, status: number, received: Record<string, string | Array<string> | undefined>) {
    // an interim response
    if (status < 200) return
    const { method, request } = this.#hop
    const { headers, setCookies } = readHeaders(received)
    const encoding = headers["content-encoding"]
    const isEncoded = decoderFor(encoding) !== undefined && method !== "HEAD"
    const length = Number(headers["content-length"] ?? Number.NaN)
    if (isEncoded) {
      delete headers["content-encoding"]
      delete headers["content-length"]
    }
    this.#response = new UndiciResponse(
      request,
      status,
      Headers.unsafeFromRecord(headers),
      setCookies,
      this.#incoming,
      isEncoded ? encoding : undefined
    )
    if (!(length <= bufferedBytes)) this.#give()
  }

  onResponseData(controller: Undici.Dispatcher.DispatchController, chunk: Uint8Array) {
    this.#incoming.push(chunk)
    if (this.#incoming.reader === undefined && this.#incoming.unread > maxUnreadBytes) controller.pause()
  }

  onResponseEnd() {
    this.#incoming.end()
    this.#give()
  }

  onResponseError(_: unknown, cause: unknown) {
    const resume = this.#resume
    this.#resume = undefined
    if (resume === undefined) return this.#incoming.fail(cause)
    queueMicrotask(() => resume(requestError(this.#hop.request, "Transport", { cause })))
  }

  #give() {
    const resume = this.#resume
    if (resume === undefined) return
    this.#resume = undefined
    const response = this.#response!
    this.#response = undefined
    this.#incoming.abortWith(response)
    // not within undici's parser, which is not done yet
    queueMicrotask(() => resume(Effect.succeed(response)))
  }
}

const readHeaders = (received: Record<string, string | Array<string> | undefined>) => {
  const headers: HeaderRecord = {}
  let setCookies: ReadonlyArray<string> = []
  for (const name in received) {
    const value = received[name]
    if (value === undefined) continue
    if (name === "set-cookie") setCookies = Array.isArray(value) ? value : [value]
    headers[name] = typeof value === "string" ? value : value.join(", ")
  }
  return { headers, setCookies }
}

/** One request and its response, which may be a redirect. */
const dispatch = (
  dispatcher: Undici.Dispatcher,
  hop: Hop,
  timeoutMillis: number
): Effect.Effect<UndiciResponse, HttpClientError.RequestError> =>
  Effect.async((resume) => {
    const handler = new ResponseHandler(hop, resume)
    dispatcher.dispatch(
      {
        origin: hop.url.origin,
        path: `${hop.url.pathname}${hop.url.search}`,
        method: hop.method as "GET",
        headers: hop.headers,
        body: hop.body ?? null,
        headersTimeout: timeoutMillis,
        bodyTimeout: timeoutMillis
      },
      handler
    )
    return Effect.sync(() => handler.cancel())
  })

const isRedirect = ({ headers, status }: UndiciResponse) =>
  status >= 300 && status < 400 && status !== 304 && headers["location"] !== undefined

/** Where a redirect leads, or why it cannot be followed. */
const nextUrl = (location: string, from: URL, hops: number): URL | string => {
  if (hops >= maxRedirects) return `redirected more than ${maxRedirects} times`
  if (!URL.canParse(location, from.href)) return "redirected to an invalid URL"
  const next = new URL(location, from.href)
  return isHttp(next) ? next : `redirected to ${next.protocol}`
}

/** Without the headers that hold credentials. */
const withoutSecrets = (headers: HeaderRecord): HeaderRecord => {
  const kept = { ...headers }
  for (const name of secretNames) delete kept[name]
  return kept
}

interface Redirects {
  readonly dispatcher: Undici.Dispatcher
  readonly timeoutMillis: number
  /** the headers before `transformRequest`, which alone go to another origin */
  readonly plainHeaders: HeaderRecord
}

const follow = (
  redirects: Redirects,
  response: UndiciResponse,
  from: Hop,
  hops: number
): Effect.Effect<UndiciResponse, HttpClientError.RequestError> => {
  if (!isRedirect(response)) return Effect.succeed(response)
  const url = nextUrl(response.headers["location"]!, from.url, hops)
  if (typeof url === "string") return requestError(from.request, "Transport", { description: url })
  const headers = url.origin === from.url.origin ? from.headers : withoutSecrets(redirects.plainHeaders)
  const next = { ...from, url, headers }
  return Effect.ignore(response.arrayBuffer).pipe(
    Effect.andThen(dispatch(redirects.dispatcher, next, redirects.timeoutMillis)),
    Effect.flatMap((response) => follow(redirects, response, next, hops + 1))
  )
}

/** @internal */
export interface DispatchOptions {
  readonly timeoutMillis: number
  readonly transformRequest: TransformRequest | undefined
}

const send = (
  dispatcher: Undici.Dispatcher,
  { timeoutMillis, transformRequest }: DispatchOptions,
  request: HttpClientRequest.HttpClientRequest,
  body: Body
): Effect.Effect<UndiciResponse, HttpClientError.RequestError> =>
  withCaller((caller) => {
    const plain = firstHop(request, body)
    if (Either.isLeft(plain)) return plain.left
    const transformed = transformRequest === undefined ? plain : transformHop(transformRequest, plain.right)
    if (Either.isLeft(transformed)) return transformed.left
    const hop = transformed.right
    const init = Option.getOrUndefined(Context.getOption(caller.currentContext, FetchHttpClient.RequestInit))
    const first = dispatch(dispatcher, hop, timeoutMillis)
    return init?.redirect === "manual" || (hop.method !== "GET" && hop.method !== "HEAD")
      ? first
      : Effect.flatMap(first, (response) =>
          follow({ dispatcher, timeoutMillis, plainHeaders: plain.right.headers }, response, hop, 0)
        )
  })

/** @internal */
export const makeClient = (dispatcher: Undici.Dispatcher, options: DispatchOptions): HttpClient.HttpClient =>
  HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
    (request) =>
      Effect.flatMap(request, (request) => {
        const body = bodyOf(request)
        return Effect.isEffect(body)
          ? Effect.flatMap(body, (body) => send(dispatcher, options, request, body))
          : send(dispatcher, options, request, body)
      }),
    Effect.succeed
  )
