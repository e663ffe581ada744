/** The one way in which requests leave the client: send a prepared request, call back once. */
import type * as Cause from "effect/Cause"
import * as Predicate from "effect/Predicate"
import type * as Tracer from "effect/Tracer"
import type { Caller } from "../effect/runtime.ts"
import type { Releasable } from "../util/releasable.ts"

/** Names in lower case and values in turns, which takes half the memory of an object. @internal */
export type HeaderList = ReadonlyArray<string>

/** @internal */
export interface PreparedRequest {
  readonly method: string
  readonly origin: string
  /** with the query */
  readonly path: string
  readonly headers: HeaderList
  readonly body: Uint8Array | string | undefined
  /** a redirect led to another origin than the program's: no `transformRequest` sees the request */
  readonly isForeign: boolean
}

/** A response with its whole body. @internal */
export interface BufferedResponse {
  readonly status: number
  /** names are in lower case */
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: Uint8Array
}

/** There is no response, or not all of it. @internal */
export interface ExchangeFailure {
  readonly reason: "Connection" | "Timeout" | "InvalidUrl"
  readonly cause?: unknown
}

/** What an exchange calls once, with the outcome of a request. @internal */
export interface ResponseHandler {
  readonly onResponse: (response: BufferedResponse) => void
  readonly onFailure: (failure: ExchangeFailure) => void
  /** the HttpClient died, or interrupted itself */
  readonly onDefect: (cause: Cause.Cause<never>) => void
}

/** @internal */
export interface SendOptions {
  /** until the response's head, and between two parts of its body; or for all of it, where the client sees no parts */
  readonly timeoutMillis: number
  /** its context and FiberRefs hold for the request, where the exchange runs effects */
  readonly caller: Caller
  /** the parent of the request's span; the caller's current span by default */
  readonly span: Tracer.AnySpan | undefined
}

/**
 * Sends requests, and collects their responses. It follows no redirect. The two implementations are
 * `undici/exchange.ts`, for Node, and `httpClientExchange.ts`, over any `HttpClient`; `exchangeOf.ts` chooses.
 *
 * @internal
 */
export interface Exchange {
  /** what it adds to the client's common headers */
  readonly headers: HeaderList
  /**
   * Calls one member of `handler` once, after `send` has returned. A release aborts the request; nothing is called
   * after it.
   */
  readonly send: (request: PreparedRequest, options: SendOptions, handler: ResponseHandler) => Releasable
}

// undici's names for its timeouts, and Node's
const timeoutCodes = new Set([
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "ETIMEDOUT"
])

const isTimeout = (cause: unknown) =>
  Predicate.hasProperty(cause, "code") && typeof cause.code === "string" && timeoutCodes.has(cause.code)

/** The failure that a platform's error stands for. @internal */
export const failureOf = (cause: unknown): ExchangeFailure =>
  cause === undefined ? { reason: "Connection" } : { reason: isTimeout(cause) ? "Timeout" : "Connection", cause }
