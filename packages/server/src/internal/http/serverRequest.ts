/** A request as a server receives it, with its body in memory. */
import * as Cookies from "@effect/platform/Cookies"
import type * as Headers from "@effect/platform/Headers"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import type { HttpMethod } from "@effect/platform/HttpMethod"
import type * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ParseJson } from "./body/largeJson.ts"
import { bodyBytes } from "./byteStreams.ts"
import * as fields from "./body/fields.ts"
import * as httpErrors from "./httpErrors.ts"
import { Message } from "./message.ts"
import * as openAiPaths from "./openai/paths.ts"

interface Overrides {
  readonly url?: string
  readonly headers?: Headers.Headers
  readonly remoteAddress?: string
}

/** The request that this one was made from. */
interface Source {
  readonly method: HttpMethod
}

class ServerRequest extends Message<HttpServerError.RequestError> implements HttpServerRequest.HttpServerRequest {
  readonly [HttpServerRequest.TypeId]: HttpServerRequest.TypeId = HttpServerRequest.TypeId
  readonly source: Source
  readonly originalUrl: string
  readonly url: string
  private readonly parseJson: ParseJson | undefined

  constructor(
    source: Source,
    originalUrl: string,
    url: string,
    headers: Headers.Headers,
    bytes: Uint8Array,
    parseJson?: ParseJson | undefined
  ) {
    super(headers, bytes)
    this.source = source
    this.originalUrl = originalUrl
    this.url = url
    this.parseJson = parseJson
  }

  override get json(): Effect.Effect<unknown, HttpServerError.RequestError> {
    return this.parseJson === undefined
      ? super.json
      : this.parseJson(this.bytes).pipe(
          Effect.flatMap((body) => Effect.try({ try: () => this.checked(body), catch: (cause) => cause })),
          Effect.mapError((cause) => this.unreadable(cause))
        )
  }

  protected unreadable(cause: unknown) {
    return httpErrors.unreadableRequest(this, cause)
  }
  protected override parse(text: string): unknown {
    return this.checked(super.parse(text))
  }
  private checked(body: unknown): unknown {
    return openAiPaths.isOpenAi(this) ? fields.checkForeign(body) : fields.check(body)
  }
  get method(): HttpMethod {
    return this.source.method
  }
  get cookies() {
    return Cookies.parseHeader(this.headers["cookie"] ?? "")
  }
  private get unsupported(): HttpServerError.RequestError {
    return httpErrors.unsupportedRequest(this, "not supported without a socket")
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
      this.bytes,
      this.parseJson
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

/** Converts the request that a client sends. @internal */
export const fromClientRequest = (
  request: HttpClientRequest.HttpClientRequest,
  url: URL
): Effect.Effect<HttpServerRequest.HttpServerRequest, HttpClientError.RequestError> =>
  Effect.mapBoth(bodyBytes(request.body), {
    onFailure: (problem) => httpErrors.requestBody(request, problem),
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

/** A request with this body, which is not compressed. @internal */
export const withBody = (
  request: HttpServerRequest.HttpServerRequest,
  bytes: Uint8Array,
  parseJson: ParseJson
): HttpServerRequest.HttpServerRequest => {
  const { "content-encoding": _, ...headers } = request.headers
  const sized = { ...headers, "content-length": String(bytes.length) } as Headers.Headers
  return new ServerRequest(request, request.originalUrl, request.url, sized, bytes, parseJson)
}
