/** A call of an endpoint. The first attempt runs on callbacks; retries, redirects and token exchanges run as Effects. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Redacted from "effect/Redacted"
import { type Caller, reference, withCaller } from "../effect/runtime.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import { classifyWithToken, startAttempt } from "./attempt.ts"
import type { AnyCallOptions, CallHandler, RawResponse } from "./callOptions.ts"
import { noteSuccess, transportError } from "./classify.ts"
import type { Endpoint } from "../codec/endpointTraits.ts"
import type { Failure } from "../network/failure.ts"
import type { BufferedResponse, ResponseHandler } from "./exchange.ts"
import type { Releasable } from "../util/releasable.ts"
import { readResponse } from "./readResponse.ts"
import { follow } from "./redirects.ts"
import { type PendingRequest, prepare, subjectOf, urlOf } from "./request.ts"
import { send } from "./retries.ts"
import type { Transport } from "./transport.ts"

type Response = Effect.Effect<RawResponse, TinkerError.TinkerError>
type Value = Effect.Effect<unknown, TinkerError.TinkerError>

const nothingToRelease: Releasable = { release: () => {} }

const policyOf = (options: AnyCallOptions, caller: Caller): RetryPolicy.RetryPolicy =>
  options.policy ?? reference(caller, RetryPolicy.CurrentRetryPolicy)

/** Sends a request, after compressing its body if the options ask for it. */
const sendEncoded = (transport: Transport, pending: PendingRequest, options: AnyCallOptions): Response =>
  options.body?.compress === true
    ? Effect.flatMap(transport.zstd.compress(options.body.bytes), (body) =>
        send(transport, { ...pending, template: { ...pending.template, body } })
      )
    : send(transport, pending)

/** Decodes a response, after following redirects. */
const readOrFollow = (
  transport: Transport,
  endpoint: Endpoint,
  options: AnyCallOptions,
  response: RawResponse
): Value =>
  endpoint.method === "GET" && response.status >= 300
    ? Effect.flatMap(follow(transport, response, subjectOf(endpoint, options)), (response) =>
        readResponse(endpoint, options, response)
      )
    : readResponse(endpoint, options, response)

/** The token for a request that can be sent at once; `undefined` if an effect must run first. */
const availableToken = (
  transport: Transport,
  { credential }: PendingRequest,
  options: AnyCallOptions
): Redacted.Redacted | undefined => {
  if (credential !== "current" || options.body?.compress === true) return undefined
  const token = transport.accessTokens.current()
  return Exit.isExit(token) && Exit.isSuccess(token) ? (token.value as Redacted.Redacted) : undefined
}

/** The first attempt of a call. It is one object, since thousands may be in flight. */
class FirstAttempt implements ResponseHandler {
  private readonly transport: Transport
  private readonly endpoint: Endpoint
  private readonly options: AnyCallOptions
  private readonly pending: PendingRequest
  private readonly token: Redacted.Redacted
  private readonly handler: CallHandler

  constructor(
    transport: Transport,
    endpoint: Endpoint,
    options: AnyCallOptions,
    pending: PendingRequest,
    token: Redacted.Redacted,
    handler: CallHandler
  ) {
    this.transport = transport
    this.endpoint = endpoint
    this.options = options
    this.pending = pending
    this.token = token
    this.handler = handler
  }

  start(caller: Caller): Releasable {
    return startAttempt(this.transport, this.pending, this.token, caller, this)
  }

  onResponse(response: BufferedResponse): void {
    this.transport.isReachable = true
    // an exception in a callback would be lost
    try {
      this.settle(response)
    } catch (defect) {
      this.handler.onRest(Effect.die(defect))
    }
  }

  onFailure(failure: Failure): void {
    const { pending } = this
    this.transport.isReachable = false
    this.continueWith(transportError(urlOf(pending.template), pending.subject, failure))
  }

  onDefect(cause: Cause.Cause<never>): void {
    this.handler.onRest(Effect.failCause(cause))
  }

  private settle(response: BufferedResponse): void {
    const { endpoint, handler, options, pending, token, transport } = this
    if (response.status !== 200 || "x-deprecation-note" in response.headers) {
      const raw = { url: urlOf(pending.template), ...response }
      return this.continueWith(Effect.suspend(() => classifyWithToken(transport, pending, token, raw)))
    }
    noteSuccess(transport)
    const value = readResponse(endpoint, options, response)
    if (Either.isRight(value)) handler.onValue(value.right)
    else handler.onRest(value)
  }

  private continueWith(first: Response): void {
    const { endpoint, handler, options, pending, transport } = this
    handler.onRest(
      Effect.flatMap(send(transport, pending, first), (response) =>
        readOrFollow(transport, endpoint, options, response)
      )
    )
  }
}

/** Calls an endpoint with callbacks. A release aborts the first attempt, and nothing is called after it. @internal */
export const start = (
  transport: Transport,
  endpoint: Endpoint,
  payload: unknown,
  options: AnyCallOptions,
  caller: Caller,
  handler: CallHandler
): Releasable => {
  const prepared = prepare(transport, endpoint, payload, options, policyOf(options, caller))
  if (Either.isLeft(prepared)) {
    handler.onRest(prepared.left)
    return nothingToRelease
  }
  const pending = prepared.right
  const token = availableToken(transport, pending, options)
  if (token !== undefined) {
    return new FirstAttempt(transport, endpoint, options, pending, token, handler).start(caller)
  }
  handler.onRest(
    Effect.flatMap(sendEncoded(transport, pending, options), (response) =>
      readOrFollow(transport, endpoint, options, response)
    )
  )
  return nothingToRelease
}

/** Calls an endpoint. @internal */
export const call = (transport: Transport, endpoint: Endpoint, payload: unknown, options: AnyCallOptions): Value =>
  withCaller((caller) =>
    Effect.async((resume) => {
      const sent = start(transport, endpoint, payload, options, caller, {
        onValue: (value) => resume(Effect.succeed(value)),
        onRest: resume
      })
      return Effect.sync(() => sent.release())
    })
  )

/** Calls an endpoint, and returns the response before it is decoded. @internal */
export const request = (
  transport: Transport,
  endpoint: Endpoint,
  payload: unknown,
  options: AnyCallOptions
): Response =>
  withCaller((caller) => {
    const prepared = prepare(transport, endpoint, payload, options, policyOf(options, caller))
    return Either.isLeft(prepared) ? prepared.left : sendEncoded(transport, prepared.right, options)
  })
