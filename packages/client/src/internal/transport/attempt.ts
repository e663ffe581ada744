/** One attempt of a request: the credential, the exchange, and a new token if the service rejects the first. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type Caller, withCaller } from "../effect/runtime.ts"
import { millis } from "../util/duration.ts"
import type { RawResponse } from "./callOptions.ts"
import { classify, transportError } from "./classify.ts"
import type { PreparedRequest, ResponseHandler } from "./exchange.ts"
import type { Releasable } from "../util/releasable.ts"
import { type PendingRequest, urlOf } from "./request.ts"
import { isUntraced } from "../codec/endpointTraits.ts"
import { traceHeaders } from "./headers.ts"
import type { Transport } from "./transport.ts"

type Response = Effect.Effect<RawResponse, TinkerError.TinkerError>

/** The request with the headers of this attempt. @internal */
export const withAttemptHeaders = (
  pending: PendingRequest,
  key: Redacted.Redacted | undefined,
  caller: Caller
): PreparedRequest => {
  const { body, common, headers, isForeign, method, origin, path } = pending.template
  const retries = String(pending.attempts++)
  const list = [...common, ...headers, "x-stainless-retry-count", retries]
  if (!isUntraced(pending.endpoint)) list.push(...traceHeaders(caller, pending.span))
  if (key !== undefined) list.push("x-api-key", Redacted.value(key))
  return {
    method,
    origin,
    path,
    headers: list,
    body,
    isForeign
  }
}

/** Sends the request once, with callbacks. @internal */
export const startAttempt = (
  transport: Transport,
  pending: PendingRequest,
  key: Redacted.Redacted | undefined,
  caller: Caller,
  handler: ResponseHandler
): Releasable =>
  transport.exchange.send(
    withAttemptHeaders(pending, key, caller),
    {
      timeoutMillis: millis(pending.policy.timeout),
      maxBytes: transport.maxResponseBytes,
      caller,
      span: pending.span,
      httpSpan: transport.httpSpans && !isUntraced(pending.endpoint)
    },
    handler
  )

/** Sends the request once, and classifies the response. */
const attemptWith = (
  transport: Transport,
  pending: PendingRequest,
  key: Redacted.Redacted | undefined,
  classifyResponse = (response: RawResponse): Response => classify(transport, response, pending.subject, key)
): Response =>
  withCaller((caller) =>
    Effect.async((resume) => {
      const url = urlOf(pending.template)
      const sent = startAttempt(transport, pending, key, caller, {
        onResponse: (response) => {
          transport.isReachable = true
          resume(Effect.suspend(() => classifyResponse({ url, ...response })))
        },
        onFailure: (failure) => {
          transport.isReachable = false
          resume(transportError(url, pending.subject, failure))
        },
        onDefect: (cause) => resume(Effect.failCause(cause))
      })
      return Effect.sync(() => sent.release())
    })
  )

const isRejectedToken = (response: RawResponse) =>
  response.status === 401 && /error="?invalid_token"?/.test(response.headers["www-authenticate"] ?? "")

/** Classifies the response to a request with a token. If the token was rejected, sends the request with another one. @internal */
export const classifyWithToken = (
  transport: Transport,
  pending: PendingRequest,
  token: Redacted.Redacted,
  response: RawResponse
): Response =>
  isRejectedToken(response)
    ? Effect.flatMap(transport.accessTokens.replace(token), (other) =>
        Redacted.value(other) === Redacted.value(token)
          ? classify(transport, response, pending.subject, token)
          : attemptWith(transport, pending, other)
      )
    : classify(transport, response, pending.subject, token)

/** @internal */
export const attempt = (transport: Transport, pending: PendingRequest): Response => {
  const { accessTokens } = transport
  const { credential } = pending
  if (credential === "given") return attemptWith(transport, pending, undefined)
  if (credential === "plain") {
    return Effect.flatMap(accessTokens.plain, (key) => attemptWith(transport, pending, key))
  }
  if (credential !== "current") return attemptWith(transport, pending, credential)
  return Effect.flatMap(accessTokens.current(), (token) =>
    attemptWith(transport, pending, token, (response) => classifyWithToken(transport, pending, token, response))
  )
}
