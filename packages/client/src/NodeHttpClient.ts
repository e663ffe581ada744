/// <reference types="node" />
/**
 * The `HttpClient` for Node: undici's `dispatch` with as little as possible between it and Effect, which matters when
 * thousands of requests are under way. Any other `HttpClient` will do as well, at a fraction of the speed.
 *
 * - Small answers are collected before they are given out; large ones and those of unknown length are given out with
 *   their head, and read as they are asked for: at once, or as a stream with back-pressure.
 * - The timeouts of `TinkerClient`'s policies are kept by the dispatcher, without a fiber for each request.
 * - Interruption aborts the request, also while its body is read.
 * - Redirects are followed, for GET and HEAD, unless `FetchHttpClient.RequestInit` says otherwise; no credential goes to
 *   another origin.
 * - Answers may be compressed; what a reader gets is not.
 *
 * This module needs Node; the package's index leaves it out, so import it as `@effect-tinker/client/NodeHttpClient`.
 *
 * @since 0.1.0
 */
import * as Cookies from "@effect/platform/Cookies"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import type * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberRef from "effect/FiberRef"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Readable, type Transform } from "node:stream"
import * as Zlib from "node:zlib"
import * as Undici from "undici"
import {
  direct,
  type Direct,
  type Held,
  type Incoming as Whole,
  type Outgoing,
  type Then
} from "./internal/transport/exchange.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** sockets to one origin; as many as there are requests under way by default, for each poll holds one */
  readonly connections?: number | undefined
  /** how long a connection may take; 10 s */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /** how long an idle connection is kept where the server does not say; 4 s, below what servers keep */
  readonly keepAlive?: Duration.DurationInput | undefined
  /** until the head of an answer, and between two parts of its body, where nobody says; 5 min */
  readonly timeout?: Duration.DurationInput | undefined
}

// an answer up to this size is given out when it is complete
const smallBytes = 64 * 1024
// how much of a body waits for its reader
const maxUnread = 256 * 1024
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

// Node has zstd from 22.15 on
const zlib = Zlib as typeof Zlib & { readonly createZstdDecompress?: () => Transform }
const decoders: { readonly [encoding: string]: (() => Transform) | undefined } = {
  gzip: () => zlib.createGunzip(),
  "x-gzip": () => zlib.createGunzip(),
  deflate: () => zlib.createInflate(),
  br: () => zlib.createBrotliDecompress(),
  zstd: zlib.createZstdDecompress
}
const accepted = decoders["zstd"] === undefined ? "gzip, deflate, br" : "gzip, deflate, br, zstd"

type Reader = {
  readonly onData: (chunk: Uint8Array) => void
  readonly onEnd: () => void
  readonly onError: (cause: unknown) => void
}

/** A body on its way: what has come waits for the one reader that it may have. */
class Incoming {
  chunks: Array<Uint8Array> = []
  waiting = 0
  ended = false
  failure: { readonly cause: unknown } | undefined
  reader: Reader | undefined
  controller: Undici.Dispatcher.DispatchController | undefined

  push(chunk: Uint8Array) {
    if (this.reader !== undefined) return this.reader.onData(chunk)
    this.chunks.push(chunk)
    this.waiting += chunk.length
  }
  end() {
    this.ended = true
    this.settled()
    this.reader?.onEnd()
  }
  fail(cause: unknown) {
    this.failure = { cause }
    this.settled()
    this.reader?.onError(cause)
  }
  // nothing is left to abort
  private settled() {
    this.controller = undefined
    forgotten.unregister(this)
  }
  read(reader: Reader) {
    this.reader = reader
    const chunks = this.chunks
    this.chunks = []
    this.waiting = 0
    for (const chunk of chunks) reader.onData(chunk)
    if (this.failure !== undefined) return reader.onError(this.failure.cause)
    if (this.ended) return reader.onEnd()
    if (this.controller?.paused === true) this.controller.resume()
  }
  abort(reason: Error) {
    this.controller?.abort(reason)
  }
}

/** A copy: a small part would keep the buffer that it came in. */
const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  let length = 0
  for (const chunk of chunks) length += chunk.length
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

const aborted = () => new Error("the request was aborted")

// a response that nobody holds, and whose body nobody reads, must not hold its socket
const forgotten = new FinalizationRegistry<Incoming>((incoming) => incoming.abort(aborted()))

class Response extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly request: HttpClientRequest.HttpClientRequest
  readonly status: number
  readonly headers: Headers.Headers
  private readonly setCookies: ReadonlyArray<string>
  private readonly incoming: Incoming
  private readonly encoding: string | undefined
  private collected: Effect.Effect<Uint8Array, HttpClientError.ResponseError> | undefined

  constructor(
    request: HttpClientRequest.HttpClientRequest,
    status: number,
    headers: Headers.Headers,
    setCookies: ReadonlyArray<string>,
    incoming: Incoming,
    encoding: string | undefined
  ) {
    super()
    this.request = request
    this.status = status
    this.headers = headers
    this.setCookies = setCookies
    this.incoming = incoming
    this.encoding = encoding
  }

  private failed(cause: unknown) {
    return new HttpClientError.ResponseError({ request: this.request, response: this, reason: "Decode", cause })
  }

  private get raw(): Effect.Effect<Uint8Array, HttpClientError.ResponseError> {
    const { incoming } = this
    if (incoming.ended && incoming.reader === undefined) {
      return Effect.sync(() => {
        const bytes = concat(incoming.chunks)
        incoming.chunks = [bytes]
        return bytes
      })
    }
    return Effect.async((resume) => {
      const chunks: Array<Uint8Array> = []
      incoming.read({
        onData: (chunk) => chunks.push(chunk),
        onEnd: () => resume(Effect.sync(() => concat(chunks))),
        onError: (cause) => resume(Effect.fail(this.failed(cause)))
      })
      return Effect.sync(() => incoming.abort(aborted()))
    })
  }

  private get bytes(): Effect.Effect<Uint8Array, HttpClientError.ResponseError> {
    if (this.encoding === undefined && this.incoming.ended && this.incoming.reader === undefined) return this.raw
    return (this.collected ??= Effect.runSync(
      Effect.cached(
        this.encoding === undefined
          ? this.raw
          : Effect.map(
              Stream.runFold(this.stream, [] as Array<Uint8Array>, (chunks, chunk) => {
                chunks.push(chunk)
                return chunks
              }),
              concat
            )
      )
    ))
  }

  get stream(): Stream.Stream<Uint8Array, HttpClientError.ResponseError> {
    return Stream.unwrapScoped(
      Effect.gen(this, function* () {
        const { incoming } = this
        const readable = new Readable({
          read: () => {
            if (incoming.controller?.paused === true) incoming.controller.resume()
          }
        })
        const decoder = this.encoding === undefined ? undefined : decoders[this.encoding]?.()
        const source = decoder === undefined ? readable : readable.pipe(decoder)
        if (decoder !== undefined) readable.on("error", (cause) => decoder.destroy(cause))
        source.on("error", () => {})
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            readable.destroy()
            decoder?.destroy()
            incoming.abort(aborted())
          })
        )
        incoming.read({
          onData: (chunk) => {
            if (!readable.push(chunk) && !incoming.ended) incoming.controller?.pause()
          },
          onEnd: () => readable.push(null),
          onError: (cause) => readable.destroy(cause instanceof Error ? cause : new Error(String(cause)))
        })
        return Stream.fromAsyncIterable(source as AsyncIterable<Uint8Array>, (cause) => this.failed(cause))
      })
    )
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, HttpClientError.ResponseError> {
    return Effect.map(this.bytes, (bytes) =>
      bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength
        ? (bytes.buffer as ArrayBuffer)
        : (bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer)
    )
  }

  get text(): Effect.Effect<string, HttpClientError.ResponseError> {
    return Effect.map(this.bytes, (bytes) => new TextDecoder().decode(bytes))
  }

  get json(): Effect.Effect<unknown, HttpClientError.ResponseError> {
    return Effect.flatMap(this.text, (text) =>
      Effect.try({ try: () => (text === "" ? null : (JSON.parse(text) as unknown)), catch: (e) => this.failed(e) })
    )
  }

  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, HttpClientError.ResponseError> {
    return Effect.map(this.text, (text) => UrlParams.fromInput(new URLSearchParams(text)))
  }

  get formData(): Effect.Effect<FormData, HttpClientError.ResponseError> {
    return Effect.flatMap(this.bytes, (bytes) =>
      Effect.tryPromise({
        try: () => new globalThis.Response(bytes as BufferSource, { headers: { ...this.headers } }).formData(),
        catch: (cause) => this.failed(cause)
      })
    )
  }

  get cookies(): Cookies.Cookies {
    return Cookies.fromSetCookie(this.setCookies)
  }

  get remoteAddress(): Option.Option<string> {
    return Option.none()
  }

  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "@effect/platform/HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }
}

interface Body {
  readonly content: Undici.Dispatcher.DispatchOptions["body"]
  readonly contentType?: string
}

const bodyOf = (
  request: HttpClientRequest.HttpClientRequest,
  body: HttpBody.HttpBody
): Effect.Effect<Body, HttpClientError.RequestError> => {
  switch (body._tag) {
    case "Empty":
      return Effect.succeed({ content: null })
    case "Uint8Array":
    case "Raw":
      return Effect.succeed({ content: body.body as Uint8Array })
    case "FormData":
      // Node's own, which is of another undici
      return Effect.tryPromise({
        try: async () => {
          const encoded = new globalThis.Response(body.formData)
          return {
            content: new Uint8Array(await encoded.arrayBuffer()),
            contentType: encoded.headers.get("content-type")!
          }
        },
        catch: (cause) => new HttpClientError.RequestError({ request, reason: "Encode", cause })
      })
    case "Stream":
      return Effect.map(Effect.runtime<never>(), (runtime) => ({
        content: Readable.from(Stream.toAsyncIterableRuntime(body.stream, runtime))
      }))
  }
}

/** One request and its answer; a redirect is an answer. */
const dispatch = (
  dispatcher: Undici.Dispatcher,
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  headers: Record<string, string>,
  millis: number
): Effect.Effect<Response, HttpClientError.RequestError> =>
  Effect.flatMap(bodyOf(request, request.body), ({ content, contentType }) =>
    Effect.async<Response, HttpClientError.RequestError>((resume) => {
      const incoming = new Incoming()
      // an interruption may come before there is a connection
      let cancelled = false
      let response: Response | undefined
      let resumed = false
      const give = () => {
        if (resumed) return
        resumed = true
        const given = response!
        // what `incoming` reaches must not reach the response, which would then never be forgotten
        response = undefined
        if (!incoming.ended) forgotten.register(given, incoming, incoming)
        // not within the parser, whose business is not done yet
        queueMicrotask(() => resume(Effect.succeed(given)))
      }
      dispatcher.dispatch(
        {
          origin: url.origin,
          path: `${url.pathname}${url.search}`,
          method: request.method,
          headers: contentType === undefined ? headers : { ...headers, "content-type": contentType },
          body: content ?? null,
          headersTimeout: millis,
          bodyTimeout: millis
        },
        {
          onRequestStart: (controller) => {
            incoming.controller = controller
            if (cancelled) controller.abort(aborted())
          },
          onResponseStart: (controller, status, received) => {
            // an interim answer
            if (status < 200) return
            const fields: Record<string, string> = {}
            let setCookies: ReadonlyArray<string> = []
            for (const name in received) {
              const value = received[name]
              if (value === undefined) continue
              if (name === "set-cookie") setCookies = Array.isArray(value) ? value : [value]
              fields[name] = typeof value === "string" ? value : value.join(", ")
            }
            const encoding = fields["content-encoding"]?.trim().toLowerCase()
            const decodes = encoding !== undefined && decoders[encoding] !== undefined && request.method !== "HEAD"
            const length = Number(fields["content-length"] ?? Number.NaN)
            if (decodes) {
              delete fields["content-encoding"]
              delete fields["content-length"]
            }
            response = new Response(
              request,
              status,
              Headers.unsafeFromRecord(fields),
              setCookies,
              incoming,
              decodes ? encoding : undefined
            )
            if (!(length <= smallBytes)) give()
          },
          onResponseData: (controller, chunk) => {
            incoming.push(chunk)
            if (incoming.reader === undefined && incoming.waiting > maxUnread) controller.pause()
          },
          onResponseEnd: () => {
            incoming.end()
            give()
          },
          onResponseError: (_, cause) => {
            if (resumed) return incoming.fail(cause)
            resumed = true
            queueMicrotask(() =>
              resume(Effect.fail(new HttpClientError.RequestError({ request, reason: "Transport", cause })))
            )
          }
        }
      )
      return Effect.sync(() => {
        cancelled = true
        incoming.controller?.abort(aborted())
      })
    })
  )

const plainHeaders = (received: Record<string, string | Array<string> | undefined>): Whole["headers"] => {
  for (const name in received) {
    const value = received[name]
    if (typeof value === "object") received[name] = value.join(", ")
  }
  return received as Whole["headers"]
}

/** One request and its answer, whole. One object, since there are thousands. */
class Asking implements Held, Undici.Dispatcher.DispatchHandler {
  /** `ask` has returned, and callbacks may come */
  isHandedOver = false
  private told: Then | undefined
  private controller: Undici.Dispatcher.DispatchController | undefined = undefined
  private decoder: Transform | undefined = undefined
  private status = 0
  private headers: Whole["headers"] = {}
  private chunks: Array<Uint8Array> = []

  constructor(told: Then) {
    this.told = told
  }

  leave() {
    if (this.told === undefined) return
    this.told = undefined
    this.decoder?.destroy()
    // without one there is no connection yet
    this.controller?.abort(aborted())
  }

  onRequestStart(controller: Undici.Dispatcher.DispatchController) {
    this.controller = controller
    if (this.told === undefined) controller.abort(aborted())
  }

  onResponseStart(_: unknown, status: number, received: Record<string, string | Array<string> | undefined>) {
    // an interim answer
    if (status < 200) return
    this.status = status
    this.headers = plainHeaders(received)
  }

  onResponseData(_: unknown, chunk: Uint8Array) {
    this.chunks.push(chunk)
  }

  onResponseEnd() {
    const encoding = this.headers["content-encoding"]
    const decoder = encoding === undefined ? undefined : decoders[encoding.trim().toLowerCase()]
    const body = this.take()
    if (decoder === undefined) this.answered(body)
    else this.decode(decoder(), body)
  }

  onResponseError(_: unknown, cause: unknown) {
    if (this.isHandedOver) this.failed(cause)
    else queueMicrotask(() => this.failed(cause))
  }

  private failed(cause: unknown) {
    const { told } = this
    this.told = undefined
    told?.onNone(cause)
  }

  private take(): Uint8Array {
    const body = concat(this.chunks)
    this.chunks = []
    return body
  }

  private answered(body: Uint8Array) {
    const { told } = this
    this.told = undefined
    told?.onAnswer({ status: this.status, headers: this.headers, body })
  }

  private decode(decoder: Transform, body: Uint8Array) {
    this.decoder = decoder
    decoder.on("data", (chunk: Uint8Array) => this.chunks.push(chunk))
    decoder.on("end", () => this.answered(this.take()))
    decoder.on("error", (cause) => this.failed(cause))
    decoder.end(body)
  }
}

const ask = (dispatcher: Undici.Dispatcher, request: Outgoing, millis: number, then: Then): Held => {
  const asking = new Asking(then)
  dispatcher.dispatch(
    {
      origin: request.origin,
      path: request.path,
      method: request.method,
      headers: request.headers as Array<string>,
      body: request.body ?? null,
      headersTimeout: millis,
      bodyTimeout: millis
    },
    asking
  )
  asking.isHandedOver = true
  return asking
}

/**
 * A client over any dispatcher of undici, such as a `ProxyAgent`, an agent with certificates of its own, or a mock.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromDispatcher = (
  dispatcher: Undici.Dispatcher,
  options: Pick<Options, "timeout"> = {}
): HttpClient.HttpClient => {
  const defaultMillis = Duration.toMillis(options.timeout ?? "5 minutes")

  /** The request as it goes out; `InvalidUrl` where it cannot. */
  const prepare = (request: HttpClientRequest.HttpClientRequest) => {
    const made = UrlParams.makeUrl(request.url, request.urlParams, request.hash)
    if (Either.isLeft(made)) {
      return new HttpClientError.RequestError({ request, reason: "InvalidUrl", cause: made.left })
    }
    const url = made.right
    if (url.protocol !== "http:" && url.protocol !== "https:") {
      return new HttpClientError.RequestError({ request, reason: "InvalidUrl", description: url.protocol })
    }
    const headers: Record<string, string> = { ...request.headers }
    // a part of a compressed body cannot be decompressed
    if (headers["accept-encoding"] === undefined && headers["range"] === undefined) {
      headers["accept-encoding"] = accepted
    }
    return { url, headers }
  }

  const execute = (
    request: HttpClientRequest.HttpClientRequest
  ): Effect.Effect<Response, HttpClientError.RequestError> =>
    Effect.withFiberRuntime((fiber) => {
      const prepared = prepare(request)
      if (!("url" in prepared)) return prepared
      const { headers, url } = prepared
      const context = fiber.getFiberRef(FiberRef.currentContext)
      const init = Option.getOrUndefined(Context.getOption(context, FetchHttpClient.RequestInit))
      const first = dispatch(dispatcher, request, url, headers, defaultMillis)
      return init?.redirect === "manual" || (request.method !== "GET" && request.method !== "HEAD")
        ? first
        : Effect.flatMap(first, (response) => follow(response, url, headers, defaultMillis, 0))
    })

  const follow = (
    response: Response,
    from: URL,
    headers: Record<string, string>,
    millis: number,
    hops: number
  ): Effect.Effect<Response, HttpClientError.RequestError> => {
    const location = response.headers["location"]
    if (response.status < 300 || response.status >= 400 || response.status === 304 || location === undefined) {
      return Effect.succeed(response)
    }
    const { request } = response
    const fail = (description: string) =>
      new HttpClientError.RequestError({ request, reason: "Transport", description })
    if (hops >= maxRedirects) return fail(`redirected more than ${maxRedirects} times`)
    if (!URL.canParse(location, from.href)) return fail("redirected to what is no URL")
    const next = new URL(location, from.href)
    if (next.protocol !== "http:" && next.protocol !== "https:") return fail(`redirected to ${next.protocol}`)
    const kept = { ...headers }
    if (next.origin !== from.origin) for (const name of secretNames) delete kept[name]
    return Effect.ignore(response.arrayBuffer).pipe(
      Effect.zipRight(dispatch(dispatcher, request, next, kept, millis)),
      Effect.flatMap((answer) => follow(answer, next, kept, millis, hops + 1))
    )
  }

  const client: HttpClient.HttpClient = HttpClient.makeWith<
    HttpClientError.HttpClientError,
    never,
    HttpClientError.HttpClientError,
    never
  >((request) => Effect.flatMap(request, execute), Effect.succeed)
  const short: Direct = {
    [direct]: {
      headers: ["accept-encoding", accepted],
      ask: (request, millis, then) => ask(dispatcher, request, millis, then)
    }
  }
  return Object.assign(client, short)
}

/**
 * A client with connections of its own, which are closed with the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<HttpClient.HttpClient, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new Undici.Agent({
          connections: options.connections ?? null,
          pipelining: 1,
          keepAliveTimeout: Duration.toMillis(options.keepAlive ?? "4 seconds"),
          connect: { timeout: Duration.toMillis(options.connectTimeout ?? "10 seconds") }
        })
    ),
    (agent) => Effect.promise(() => agent.destroy())
  ).pipe(Effect.map((agent) => fromDispatcher(agent, options)))

/**
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.scoped(HttpClient.HttpClient, make())

/**
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (options: Options): Layer.Layer<HttpClient.HttpClient> =>
  Layer.scoped(HttpClient.HttpClient, make(options))
