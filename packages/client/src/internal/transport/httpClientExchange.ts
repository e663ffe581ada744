/** An exchange over any HttpClient: each request is a fiber with the caller's context and FiberRefs. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { failureOf, type Failure } from "../network/failure.ts"
import type { ProxyHint } from "../network/proxyHint.ts"
import { contextWithSpan, fork, type Forked, updateFiberRef } from "../effect/runtime.ts"
import { Deadlines } from "../effect/deadlines.ts"
import { type BufferedResponse, type Exchange, type PreparedRequest, type ResponseHandler } from "./exchange.ts"
import { type BodyTooLarge, readBounded } from "../util/boundedBody.ts"
import type { Releasable } from "../util/releasable.ts"

/** @internal */
export type SendError = HttpClientError.HttpClientError | BodyTooLarge

/** @internal */
export const toClientRequest = ({
  body,
  headers: list,
  method,
  origin,
  path
}: PreparedRequest): HttpClientRequest.HttpClientRequest => {
  const headers: Record<string, string> = {}
  for (let i = 0; i < list.length; i += 2) headers[list[i]!] = list[i + 1]!
  const request = HttpClientRequest.make(method as "POST")(`${origin}${path}`, { headers })
  if (body === undefined) return request
  const contentType = headers["content-type"]!
  return typeof body === "string"
    ? HttpClientRequest.bodyText(request, body, contentType)
    : HttpClientRequest.bodyUint8Array(request, body, contentType)
}

/** @internal */
export const toBuffered = (
  response: HttpClientResponse.HttpClientResponse,
  maxBytes: number
): Effect.Effect<BufferedResponse, SendError> =>
  Effect.map(readBounded(response, maxBytes), (body) => ({
    status: response.status,
    headers: response.headers,
    body
  }))

/** @internal */
export const toFailure = (error: SendError): Failure => {
  if (error._tag === "BodyTooLarge") return { reason: "TooLarge", limit: error.limit }
  return error._tag === "RequestError" && error.reason === "InvalidUrl"
    ? { reason: "InvalidUrl" }
    : failureOf(error.cause)
}

/** Adds the hint to the failure of a connection. */
const withHint = (failure: Failure, hint: string | undefined): Failure => {
  if (hint === undefined || (failure.reason !== "Connection" && failure.reason !== "Timeout")) return failure
  return { ...failure, detail: failure.detail === undefined ? hint : `${failure.detail}; ${hint}` }
}

/** A request in flight: its fiber, its deadline, and its handler. */
class Sent implements Releasable {
  #handler: ResponseHandler | undefined
  readonly #hint: () => string | undefined
  fiber: Forked | undefined = undefined
  deadline: Releasable | undefined = undefined

  constructor(handler: ResponseHandler, hint: () => string | undefined) {
    this.#handler = handler
    this.#hint = hint
  }

  release(): void {
    if (this.#settle() !== undefined) this.fiber?.interrupt()
  }

  onTimeout(): void {
    const handler = this.#settle()
    this.fiber?.interrupt()
    handler?.onFailure(withHint({ reason: "Timeout" }, this.#hint()))
  }

  onExit(exit: Exit.Exit<BufferedResponse, SendError>): void {
    const handler = this.#settle()
    if (handler === undefined) return
    if (Exit.isSuccess(exit)) return handler.onResponse(exit.value)
    const failure = Cause.failureOrCause(exit.cause)
    if (Either.isLeft(failure)) handler.onFailure(withHint(toFailure(failure.left), this.#hint()))
    else handler.onDefect(failure.right)
  }

  #settle(): ResponseHandler | undefined {
    const handler = this.#handler
    this.#handler = undefined
    this.deadline?.release()
    this.deadline = undefined
    return handler
  }
}

/** `secretNames` are headers whose values no span shows. @internal */
export const make = (
  http: HttpClient.HttpClient,
  secretNames: ReadonlyArray<string>,
  proxyHint: ProxyHint = () => undefined
): Exchange => {
  const deadlines = new Deadlines()
  const hideSecrets = updateFiberRef(Headers.currentRedactedNames, (names) => [...names, ...secretNames])
  const hideRequest = Effect.andThen(
    hideSecrets,
    updateFiberRef(HttpClient.currentTracerDisabledWhen, () => () => true)
  )
  return {
    headers: [],
    send: (request, { caller, httpSpan, maxBytes, span, timeoutMillis }, handler) => {
      const sent = new Sent(handler, () => proxyHint(request.origin))
      // fetch would send the key to wherever a redirect leads
      const context = Context.add(contextWithSpan(caller, span), FetchHttpClient.RequestInit, { redirect: "manual" })
      const effect = Effect.flatMap(httpSpan ? hideSecrets : hideRequest, () =>
        Effect.flatMap(http.execute(toClientRequest(request)), (response) => toBuffered(response, maxBytes))
      )
      sent.fiber = fork(caller, context, effect, (exit) => sent.onExit(exit))
      if (Number.isFinite(timeoutMillis)) {
        sent.deadline = deadlines.add(caller, timeoutMillis, () => sent.onTimeout())
      }
      return sent
    }
  }
}
