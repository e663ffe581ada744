/** An HTTP message whose body is in memory: the common part of requests and responses. */
import type * as Headers from "@effect/platform/Headers"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

const decodeText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Shares the memory of `bytes` if they are all of their buffer. */
const toArrayBuffer = (bytes: Uint8Array): ArrayBuffer => {
  const { buffer, byteLength, byteOffset } = bytes
  return buffer instanceof ArrayBuffer && byteOffset === 0 && byteLength === buffer.byteLength
    ? buffer
    : bytes.slice().buffer
}

/** @internal */
export abstract class Message<E> extends Inspectable.Class implements HttpIncomingMessage.HttpIncomingMessage<E> {
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly headers: Headers.Headers
  protected readonly bytes: Uint8Array

  constructor(headers: Headers.Headers, bytes: Uint8Array) {
    super()
    this.headers = headers
    this.bytes = bytes
  }

  /** Its bytes, if they are all of the body. */
  get inMemory(): Uint8Array | undefined {
    return this.bytes
  }

  /** The error of a body that is not JSON. */
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

/** The body of a message whose body is all in memory; `undefined` for any other. @internal */
export const bytesInMemory = (message: object): Uint8Array | undefined =>
  message instanceof Message ? message.inMemory : undefined
