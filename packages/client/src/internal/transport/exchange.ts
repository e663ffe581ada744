/** The one interface that sends requests: send a prepared request, call back once. */
import type * as Cause from "effect/Cause"
import type * as Tracer from "effect/Tracer"
import type { Caller } from "../effect/runtime.ts"
import type { Failure } from "../network/failure.ts"
import type { Releasable } from "../util/releasable.ts"

/** Names (in lower case) and values alternate, which takes half the memory of an object. @internal */
export type HeaderList = ReadonlyArray<string>

/** @internal */
export interface PreparedRequest {
  readonly method: string
  readonly origin: string
  /** with the query */
  readonly path: string
  readonly headers: HeaderList
  readonly body: Uint8Array | string | undefined
  /** a redirect led to another origin: `transformRequest` does not run */
  readonly isForeign: boolean
}

/** A response with its whole body. @internal */
export interface BufferedResponse {
  readonly status: number
  /** names are in lower case */
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: Uint8Array
}

/** An exchange calls one of these, once, with the outcome of a request. @internal */
export interface ResponseHandler {
  readonly onResponse: (response: BufferedResponse) => void
  readonly onFailure: (failure: Failure) => void
  /** the HttpClient died, or interrupted itself */
  readonly onDefect: (cause: Cause.Cause<never>) => void
}

/** @internal */
export interface SendOptions {
  /** undici: until the head of the response, and between two parts of its body; the adapter: for the whole response */
  readonly timeoutMillis: number
  /** the largest body of a response, after decompression */
  readonly maxBytes: number
  /** the fiber whose context and FiberRefs the adapter runs the request with */
  readonly caller: Caller
  /** the parent of the request's span; the caller's current span by default */
  readonly span: Tracer.AnySpan | undefined
  /** whether the adapter lets the `HttpClient` make a span of its own for the request */
  readonly httpSpan: boolean
}

/**
 * Sends requests, and buffers their responses. It does not follow redirects. The two implementations are
 * `undici/exchange.ts`, for Node, and `httpClientExchange.ts`, over any `HttpClient`; `exchangeOf.ts` chooses.
 *
 * @internal
 */
export interface Exchange {
  /** headers that it adds to every request */
  readonly headers: HeaderList
  /**
   * Calls one member of `handler` once, after `send` has returned. A release aborts the request, and nothing is called
   * after it.
   */
  readonly send: (request: PreparedRequest, options: SendOptions, handler: ResponseHandler) => Releasable
}
