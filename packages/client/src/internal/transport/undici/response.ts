/// <reference types="node" />
/** A response of undici as an HttpClientResponse, whose body is read on demand. */
import * as Cookies from "@effect/platform/Cookies"
import type * as Headers from "@effect/platform/Headers"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Readable } from "node:stream"
import { decodeError } from "../../effect/httpErrors.ts"
import { decoderFor } from "./decoders.ts"
import { abortError, concat, type IncomingBody } from "./incomingBody.ts"

/** @internal */
export class UndiciResponse extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly request: HttpClientRequest.HttpClientRequest
  readonly status: number
  readonly headers: Headers.Headers
  private readonly setCookies: ReadonlyArray<string>
  private readonly incoming: IncomingBody
  private readonly encoding: string | undefined
  private collected: Effect.Effect<Uint8Array, HttpClientError.ResponseError> | undefined

  constructor(
    request: HttpClientRequest.HttpClientRequest,
    status: number,
    headers: Headers.Headers,
    setCookies: ReadonlyArray<string>,
    incoming: IncomingBody,
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
    return decodeError(this.request, this, cause)
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
      return Effect.sync(() => incoming.abort(abortError()))
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
          read: () => incoming.resume()
        })
        const decoder = decoderFor(this.encoding)?.()
        const source = decoder === undefined ? readable : readable.pipe(decoder)
        if (decoder !== undefined) readable.on("error", (cause) => decoder.destroy(cause))
        source.on("error", () => {})
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            readable.destroy()
            decoder?.destroy()
            incoming.abort(abortError())
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
