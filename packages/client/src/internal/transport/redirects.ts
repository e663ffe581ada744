/** Follows the redirects of a GET. Only the service itself is sent the key and the client's headers. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import { type Caller, reference, withCaller } from "../effect/runtime.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import * as retryReport from "../telemetry/retryReport.ts"
import { millis } from "../util/duration.ts"
import { userAgent } from "../util/version.ts"
import type { RawResponse } from "./callOptions.ts"
import { classify, transportError } from "./classify.ts"
import type { HeaderList, PreparedRequest } from "./exchange.ts"
import { type Subject, urlOf } from "./request.ts"
import { send } from "./retries.ts"
import type { Transport } from "./transport.ts"

const maxRedirects = 5
const accept: HeaderList = ["accept", "application/json"]

type Response = Effect.Effect<RawResponse, TinkerError.TinkerError>

const getRequest = (url: URL, headers: HeaderList, isForeign: boolean): PreparedRequest => ({
  method: "GET",
  origin: url.origin,
  path: `${url.pathname}${url.search}`,
  headers,
  body: undefined,
  isForeign
})

/** Requests a URL of the service itself, with the credential and the client's headers. */
const getFromService = (
  transport: Transport,
  url: URL,
  { method }: Subject,
  policy: RetryPolicy.RetryPolicy
): Response =>
  send(transport, {
    template: { ...getRequest(url, accept, false), common: transport.commonHeaders.list },
    endpoint: method,
    subject: { method },
    policy,
    credential: "current",
    attempts: 0,
    report: undefined,
    onRetry: undefined,
    queue: undefined,
    span: undefined
  })

/** Requests a URL of another origin. */
const getFromElsewhere = (
  transport: Transport,
  url: URL,
  { method }: Subject,
  policy: RetryPolicy.RetryPolicy,
  caller: Caller
): Response => {
  const subject = { method }
  const request = getRequest(url, [...transport.exchange.headers, "user-agent", userAgent, ...accept], true)
  return Effect.async<RawResponse, TinkerError.TinkerError>((resume) => {
    const sent = transport.exchange.send(
      request,
      {
        timeoutMillis: millis(policy.timeout),
        maxBytes: transport.maxResponseBytes,
        caller,
        span: undefined,
        httpSpan: false
      },
      {
        onResponse: (response) =>
          resume(Effect.suspend(() => classify(transport, { url: urlOf(request), ...response }, subject, undefined))),
        onFailure: (failure) => resume(transportError(urlOf(request), subject, failure)),
        onDefect: (cause) => resume(Effect.failCause(cause))
      }
    )
    return Effect.sync(() => sent.release())
  }).pipe(RetryPolicy.apply(policy, retryReport.make(transport.retryWarnings).onRetry))
}

const nextUrl = (response: RawResponse): URL | undefined => {
  const location = response.headers["location"]
  if (response.status < 300 || location === undefined || !URL.canParse(location, response.url)) return undefined
  const next = new URL(location, response.url)
  return next.protocol === "https:" || next.protocol === "http:" ? next : undefined
}

/** The response that a redirect leads to, or the redirect that cannot be followed. @internal */
export const follow = (transport: Transport, first: RawResponse, subject: Subject): Response =>
  withCaller((caller) => {
    const policy = reference(caller, RetryPolicy.CurrentRetryPolicy)
    const hop = (response: RawResponse, hops: number): Response => {
      const url = hops < maxRedirects ? nextUrl(response) : undefined
      if (url === undefined) return Effect.succeed(response)
      return Effect.flatMap(
        url.origin === transport.origin
          ? getFromService(transport, url, subject, policy)
          : getFromElsewhere(transport, url, subject, policy, caller),
        (next) => hop(next, hops + 1)
      )
    }
    return hop(first, 0)
  })
