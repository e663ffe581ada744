/// <reference types="node" />
/** An exchange over a dispatcher of undici: callbacks alone, and one object for each request. */
import type { Transform } from "node:stream"
import type * as Undici from "undici"
import {
  type BufferedResponse,
  type Exchange,
  type PreparedRequest,
  type ResponseHandler,
  type SendOptions
} from "../exchange.ts"
import { failureOf } from "../../network/failure.ts"
import type { Releasable } from "../../util/releasable.ts"
import { acceptEncoding, decoderFor } from "./decoders.ts"
import { abortError, concat } from "./incomingBody.ts"
import { type TransformRequest, transformPrepared } from "./transformRequest.ts"

type ReceivedHeaders = Record<string, string | Array<string> | undefined>

const joinLists = (received: ReceivedHeaders): BufferedResponse["headers"] => {
  for (const name in received) {
    const value = received[name]
    if (typeof value === "object") received[name] = value.join(", ")
  }
  return received as BufferedResponse["headers"]
}

/** A request in flight. */
class UndiciRequest implements Releasable, Undici.Dispatcher.DispatchHandler {
  /** `send` has returned, and the handler may be called */
  hasReturned = false
  private handler: ResponseHandler | undefined
  private controller: Undici.Dispatcher.DispatchController | undefined = undefined
  private decoder: Transform | undefined = undefined
  private status = 0
  private headers: BufferedResponse["headers"] = {}
  private chunks: Array<Uint8Array> = []
  /** bytes in `chunks` */
  private received = 0
  private readonly maxBytes: number

  constructor(handler: ResponseHandler, maxBytes: number) {
    this.handler = handler
    this.maxBytes = maxBytes
  }

  release() {
    if (this.handler === undefined) return
    this.handler = undefined
    this.decoder?.destroy()
    // without a controller there is no connection yet
    this.controller?.abort(abortError())
  }

  onRequestStart(controller: Undici.Dispatcher.DispatchController) {
    this.controller = controller
    if (this.handler === undefined) controller.abort(abortError())
  }

  onResponseStart(_: unknown, status: number, received: ReceivedHeaders) {
    // an interim response
    if (status < 200) return
    this.status = status
    this.headers = joinLists(received)
  }

  onResponseData(_: unknown, chunk: Uint8Array) {
    this.push(chunk)
  }

  onResponseEnd() {
    if (this.handler === undefined) return
    const decoder = decoderFor(this.headers["content-encoding"])
    const body = this.takeBody()
    if (decoder === undefined) this.succeed(body)
    else this.decode(decoder(), body)
  }

  onResponseError(_: unknown, cause: unknown) {
    if (this.hasReturned) this.fail(cause)
    else queueMicrotask(() => this.fail(cause))
  }

  private fail(cause: unknown) {
    const { handler } = this
    this.handler = undefined
    handler?.onFailure(failureOf(cause))
  }

  private push(chunk: Uint8Array) {
    if (this.handler === undefined) return
    this.received += chunk.length
    if (this.received <= this.maxBytes) this.chunks.push(chunk)
    else this.rejectBody()
  }

  /** Aborts the request, and reads no more of a response that is too large. */
  private rejectBody() {
    const { handler, maxBytes } = this
    this.release()
    this.chunks = []
    handler?.onFailure({ reason: "TooLarge", limit: maxBytes })
  }

  private takeBody(): Uint8Array {
    const body = concat(this.chunks)
    this.chunks = []
    this.received = 0
    return body
  }

  private succeed(body: Uint8Array) {
    const { handler } = this
    this.handler = undefined
    handler?.onResponse({ status: this.status, headers: this.headers, body })
  }

  private decode(decoder: Transform, body: Uint8Array) {
    this.decoder = decoder
    decoder.on("data", (chunk: Uint8Array) => this.push(chunk))
    decoder.on("end", () => this.succeed(this.takeBody()))
    decoder.on("error", (cause) => this.fail(cause))
    decoder.end(body)
  }
}

const noRequest: Releasable = { release: () => {} }

const send = (
  dispatcher: Undici.Dispatcher,
  transformRequest: TransformRequest | undefined,
  given: PreparedRequest,
  { maxBytes, timeoutMillis }: SendOptions,
  handler: ResponseHandler
): Releasable => {
  const request = transformRequest === undefined || given.isForeign ? given : transformPrepared(transformRequest, given)
  if (request === undefined) {
    queueMicrotask(() => handler.onFailure({ reason: "InvalidUrl" }))
    return noRequest
  }
  const sent = new UndiciRequest(handler, maxBytes)
  dispatcher.dispatch(
    {
      origin: request.origin,
      path: request.path,
      method: request.method as "GET",
      headers: request.headers as Array<string>,
      body: request.body ?? null,
      headersTimeout: timeoutMillis,
      bodyTimeout: timeoutMillis
    },
    sent
  )
  sent.hasReturned = true
  return sent
}

/** Timeouts are undici's own; it ignores the caller. @internal */
export const make = (dispatcher: Undici.Dispatcher, transformRequest: TransformRequest | undefined): Exchange => ({
  headers: ["accept-encoding", acceptEncoding],
  send: (request, options, handler) => send(dispatcher, transformRequest, request, options, handler)
})
