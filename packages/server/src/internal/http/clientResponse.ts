/** A response as a client receives it, with its body in memory. */
import type * as Cookies from "@effect/platform/Cookies"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { bodyBytes, collectBytes } from "./byteStreams.ts"
import * as eventStreams from "./eventStreams.ts"
import * as httpErrors from "./httpErrors.ts"
import { Message } from "./message.ts"

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
    return httpErrors.unreadableResponse(this.request, this, cause)
  }
  protected override parse(text: string): unknown {
    return text === "" ? null : JSON.parse(text)
  }
  get formData(): Effect.Effect<FormData, HttpClientError.ResponseError> {
    return Effect.fail(this.unreadable("form data is not supported"))
  }
  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "@effect/platform/HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }
}

/** A response whose body the client reads as it comes. */
class StreamedResponse extends ClientResponse {
  private readonly body: Stream.Stream<Uint8Array, unknown>

  constructor(
    request: HttpClientRequest.HttpClientRequest,
    source: HttpServerResponse.HttpServerResponse,
    body: Stream.Stream<Uint8Array, unknown>
  ) {
    super(request, source, new Uint8Array(0))
    this.body = body
  }

  override get inMemory(): undefined {
    return undefined
  }
  override get stream(): Stream.Stream<Uint8Array, HttpClientError.ResponseError> {
    return Stream.mapError(this.body, (cause) => this.unreadable(cause))
  }
  override get text(): Effect.Effect<string, HttpClientError.ResponseError> {
    return Effect.map(collectBytes(this.stream), (bytes) => new TextDecoder().decode(bytes))
  }
}

/** Converts the response that a server sends. @internal */
export const fromServerResponse = (
  request: HttpClientRequest.HttpClientRequest,
  response: HttpServerResponse.HttpServerResponse
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.RequestError> =>
  response.body._tag === "Stream" && eventStreams.isEventStream(response)
    ? Effect.succeed(new StreamedResponse(request, response, response.body.stream))
    : bodyBytes(response.body).pipe(
        Effect.mapBoth({
          onFailure: (problem) => httpErrors.responseBody(request, problem),
          // the response to a HEAD request has no body
          onSuccess: (bytes) =>
            new ClientResponse(request, response, request.method === "HEAD" ? new Uint8Array(0) : bytes)
        })
      )
