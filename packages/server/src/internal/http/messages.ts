import * as Cookies from "@effect/platform/Cookies"
import type * as Headers from "@effect/platform/Headers"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import type { HttpMethod } from "@effect/platform/HttpMethod"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

const decodeText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const encodeText = (text: string): Uint8Array => new TextEncoder().encode(text)

const toArrayBuffer = (bytes: Uint8Array): ArrayBuffer => {
  const { buffer, byteLength, byteOffset } = bytes
  return buffer instanceof ArrayBuffer && byteOffset === 0 && byteLength === buffer.byteLength
    ? buffer
    : bytes.slice().buffer
}

/** All bytes of a stream, copied once. @internal */
export const collect = <E>(stream: Stream.Stream<Uint8Array, E>): Effect.Effect<Uint8Array, E> =>
  Effect.map(Stream.runCollect(stream), (chunks) => {
    const list = Array.from(chunks)
    const out = new Uint8Array(list.reduce((size, chunk) => size + chunk.length, 0))
    let offset = 0
    for (const chunk of list) {
      out.set(chunk, offset)
      offset += chunk.length
    }
    return out
  })

/** The bytes of a body, or why it has none that could be sent. */
const bytesOf = (
  body: HttpClientRequest.HttpClientRequest["body"]
): Effect.Effect<Uint8Array, { readonly cause?: unknown; readonly description?: string }> => {
  switch (body._tag) {
    case "Empty":
      return Effect.succeed(new Uint8Array(0))
    case "Uint8Array":
      return Effect.succeed(body.body)
    case "Stream":
      return Effect.mapError(collect(body.stream), (cause) => ({ cause }))
    case "Raw":
      return typeof body.body === "string"
        ? Effect.sync(() => encodeText(body.body as string))
        : body.body instanceof Uint8Array
          ? Effect.succeed(body.body)
          : Effect.fail({ description: "a raw body must be text or bytes here" })
    case "FormData":
      return Effect.fail({ description: "form data cannot be sent here" })
  }
}

/** What client and server read a body with. */
abstract class Message<E> extends Inspectable.Class implements HttpIncomingMessage.HttpIncomingMessage<E> {
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly headers: Headers.Headers
  protected readonly bytes: Uint8Array

  constructor(headers: Headers.Headers, bytes: Uint8Array) {
    super()
    this.headers = headers
    this.bytes = bytes
  }

  protected abstract unreadable(cause: unknown): E

  get remoteAddress(): Option.Option<string> {
    return Option.none()
  }
  get text(): Effect.Effect<string, E> {
    return Effect.sync(() => decodeText(this.bytes))
  }
  protected parse(text: string): unknown {
    return JSON.parse(text)
  }
  get json(): Effect.Effect<unknown, E> {
    return Effect.try({
      try: () => this.parse(decodeText(this.bytes)),
      catch: (cause) => this.unreadable(cause)
    })
  }
  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, E> {
    return Effect.sync(() => UrlParams.fromInput(new URLSearchParams(decodeText(this.bytes))))
  }
  get arrayBuffer(): Effect.Effect<ArrayBuffer, E> {
    return Effect.sync(() => toArrayBuffer(this.bytes))
  }
  get stream(): Stream.Stream<Uint8Array, E> {
    return Stream.suspend(() => Stream.succeed(this.bytes))
  }
}

interface Overrides {
  readonly url?: string
  readonly headers?: Headers.Headers
  readonly remoteAddress?: string
}

interface Source {
  readonly method: HttpMethod
}

class ServerRequest extends Message<HttpServerError.RequestError> implements HttpServerRequest.HttpServerRequest {
  readonly [HttpServerRequest.TypeId]: HttpServerRequest.TypeId = HttpServerRequest.TypeId
  readonly source: Source
  readonly originalUrl: string
  readonly url: string

  constructor(source: Source, originalUrl: string, url: string, headers: Headers.Headers, bytes: Uint8Array) {
    super(headers, bytes)
    this.source = source
    this.originalUrl = originalUrl
    this.url = url
  }

  protected unreadable(cause: unknown) {
    return new HttpServerError.RequestError({ request: this, reason: "Decode", cause })
  }
  get method(): HttpMethod {
    return this.source.method
  }
  get cookies() {
    return Cookies.parseHeader(this.headers["cookie"] ?? "")
  }
  private get unsupported(): HttpServerError.RequestError {
    return new HttpServerError.RequestError({
      request: this,
      reason: "Decode",
      description: "not supported without a socket"
    })
  }
  get multipart(): HttpServerRequest.HttpServerRequest["multipart"] {
    return Effect.die(this.unsupported)
  }
  get multipartStream(): HttpServerRequest.HttpServerRequest["multipartStream"] {
    return Stream.die(this.unsupported)
  }
  get upgrade(): HttpServerRequest.HttpServerRequest["upgrade"] {
    return Effect.fail(this.unsupported)
  }
  modify(options: Overrides): HttpServerRequest.HttpServerRequest {
    return new ServerRequest(
      this.source,
      this.originalUrl,
      options.url ?? this.url,
      options.headers ?? this.headers,
      this.bytes
    )
  }
  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "@effect/platform/HttpServerRequest",
      method: this.method,
      url: this.originalUrl
    })
  }
}

/** The request as a server receives it. @internal */
export const toServerRequest = (
  request: HttpClientRequest.HttpClientRequest,
  url: URL
): Effect.Effect<HttpServerRequest.HttpServerRequest, HttpClientError.RequestError> =>
  bytesOf(request.body).pipe(
    Effect.mapBoth({
      onFailure: (problem) => new HttpClientError.RequestError({ request, reason: "Encode", ...problem }),
      onSuccess: (bytes) => {
        const { contentType } = request.body
        const headers = {
          host: url.host,
          ...(contentType === undefined ? {} : { "content-type": contentType }),
          ...request.headers,
          ...(bytes.length === 0 ? {} : { "content-length": String(bytes.length) })
        } as Headers.Headers
        return new ServerRequest(request, url.href, `${url.pathname}${url.search}`, headers, bytes)
      }
    })
  )

/** A request with another body, which is not compressed. @internal */
export const withBody = (
  request: HttpServerRequest.HttpServerRequest,
  bytes: Uint8Array
): HttpServerRequest.HttpServerRequest => {
  const { "content-encoding": _, ...headers } = request.headers
  const sized = { ...headers, "content-length": String(bytes.length) } as Headers.Headers
  return new ServerRequest(request, request.originalUrl, request.url, sized, bytes)
}

class ClientResponse extends Message<HttpClientError.ResponseError> implements HttpClientResponse.HttpClientResponse {
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly request: HttpClientRequest.HttpClientRequest
  readonly status: number
  readonly cookies: Cookies.Cookies

  constructor(
    request: HttpClientRequest.HttpClientRequest,
    source: HttpServerResponse.HttpServerResponse,
    bytes: Uint8Array
  ) {
    super(source.headers, bytes)
    this.request = request
    this.status = source.status
    this.cookies = source.cookies
  }

  protected unreadable(cause: unknown) {
    return new HttpClientError.ResponseError({ request: this.request, response: this, reason: "Decode", cause })
  }
  protected override parse(text: string): unknown {
    return text === "" ? null : JSON.parse(text)
  }
  get formData(): Effect.Effect<FormData, HttpClientError.ResponseError> {
    return Effect.fail(this.unreadable("form data cannot be read here"))
  }
  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "@effect/platform/HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }
}

/** The response as a client receives it. @internal */
export const toClientResponse = (
  request: HttpClientRequest.HttpClientRequest,
  response: HttpServerResponse.HttpServerResponse
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.RequestError> =>
  bytesOf(response.body).pipe(
    Effect.mapBoth({
      onFailure: (problem) => new HttpClientError.RequestError({ request, reason: "Transport", ...problem }),
      // as over a socket, a HEAD request gets the headers alone
      onSuccess: (bytes) => new ClientResponse(request, response, request.method === "HEAD" ? new Uint8Array(0) : bytes)
    })
  )
