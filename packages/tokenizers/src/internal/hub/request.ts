/** Requests to the hub: redirects, the token, timeouts and retries. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { requestReason } from "../util/causes.ts"
import { responseError } from "./failures.ts"
import { type HubError, makeError, type Remote } from "./model.ts"
import { type RetryLimits, retry } from "./retries.ts"
import { isBelowEndpoint } from "./settings.ts"

const maxRedirects = 5

const silent = (target: Remote, origin: string, millis: number) =>
  makeError(target, "Unreachable", `${origin} did not respond within ${millis / 1000} s`)

/** The bytes of a file that are wanted, from the first to the last. @internal */
export type Range = readonly [first: number, last: number]

/** Sends one request. Only requests to the endpoint carry the token. */
const send = (
  http: HttpClient.HttpClient,
  target: Remote,
  url: URL,
  { idleMillis }: RetryLimits,
  range: Range | undefined
): Effect.Effect<HttpClientResponse.HttpClientResponse, HubError, Scope.Scope> => {
  const { endpoint, token } = target
  const headers = range === undefined ? {} : { range: `bytes=${range.join("-")}` }
  const request = HttpClientRequest.get(url, { headers })
  return http
    .execute(
      token !== undefined && isBelowEndpoint(endpoint, url) ? HttpClientRequest.bearerToken(request, token) : request
    )
    .pipe(
      Effect.timeoutFail({ duration: idleMillis, onTimeout: () => silent(target, url.origin, idleMillis) }),
      Effect.catchTags({
        // The error itself contains the request, and so the token.
        RequestError: (error) =>
          makeError(target, "Unreachable", `${url.origin} cannot be reached: ${requestReason(error)}`, {
            cause: error.cause
          }),
        ResponseError: (error) =>
          makeError(target, "Unreachable", `the response of ${url.origin} cannot be read: ${requestReason(error)}`)
      })
    )
}

const redirectUrl = (target: Remote, from: URL, location: string): Effect.Effect<URL, HubError> =>
  Effect.flatMap(
    Effect.try({
      try: () => new URL(location, from),
      catch: () => makeError(target, "Unreachable", `${from.origin} redirects to an invalid URL`)
    }),
    (to) => {
      if (from.protocol === "https:" && to.protocol !== "https:") {
        const detail = `${from.origin} redirects to ${to.protocol}//${to.host}, which is not encrypted`
        return makeError(target, "Unreachable", detail)
      }
      return to.username === "" && to.password === "" && /^https?:$/.test(to.protocol)
        ? Effect.succeed(to)
        : makeError(target, "Unreachable", `${from.origin} redirects to an invalid URL`)
    }
  )

const followRedirects = (
  http: HttpClient.HttpClient,
  target: Remote,
  url: URL,
  limits: RetryLimits,
  range: Range | undefined,
  redirectsLeft: number
): Effect.Effect<HttpClientResponse.HttpClientResponse, HubError, Scope.Scope> =>
  Effect.gen(function* () {
    const response = yield* send(http, target, url, limits, range)
    const location = response.headers["location"]
    if (response.status >= 300 && response.status < 400 && location !== undefined) {
      if (redirectsLeft === 0) return yield* makeError(target, "Unreachable", `${target.endpoint} redirects too often`)
      const next = yield* redirectUrl(target, url, location)
      return yield* followRedirects(http, target, next, limits, range, redirectsLeft - 1)
    }
    const isAsked = response.status === 200 || (response.status === 206 && range !== undefined)
    return isAsked ? response : yield* responseError(target, url, response)
  })

/** A client that sends neither trace ids nor spans to the hub. @internal */
export const withoutTracing = (http: HttpClient.HttpClient): HttpClient.HttpClient =>
  HttpClient.withTracerPropagation(http, false)

/** The body of a response in parts. It fails if no byte arrives for a while. @internal */
export const bodyOf = (
  target: Remote,
  response: HttpClientResponse.HttpClientResponse,
  what: string,
  { idleMillis }: RetryLimits
): Stream.Stream<Uint8Array, HubError> =>
  response.stream.pipe(
    Stream.mapError((error) =>
      makeError(target, "Unreachable", `the response with ${what} broke off: ${requestReason(error)}`)
    ),
    Stream.timeoutFail(
      () => makeError(target, "Unreachable", `no byte of ${what} arrived for ${idleMillis / 1000} s`),
      idleMillis
    )
  )

/** Where the body of a response begins in its file; `undefined` if it is not the part that was asked for. @internal */
export const startOf = (
  { headers, status }: HttpClientResponse.HttpClientResponse,
  wanted: number
): number | undefined => {
  if (status !== 206) return 0
  return headers["content-range"]?.startsWith(`bytes ${wanted}-`) === true ? wanted : undefined
}

/** Bounds the duration of an attempt. */
const bound =
  (target: Remote, { duration }: RetryLimits) =>
  <A>(attempt: Effect.Effect<A, HubError>): Effect.Effect<A, HubError> =>
    duration === undefined
      ? attempt
      : Effect.timeoutFail(attempt, {
          duration,
          onTimeout: () =>
            makeError(
              target,
              "Unreachable",
              `${target.endpoint} did not finish its response within ${duration / 1000} s`
            )
        })

/**
 * Sends a request and reads the response, with retries. Each attempt asks for the range of bytes that is then wanted, or for
 * all of them; the response may be whole all the same.
 *
 * @internal
 */
export const get = <A>(
  http: HttpClient.HttpClient,
  target: Remote,
  url: string,
  limits: RetryLimits,
  read: (response: HttpClientResponse.HttpClientResponse) => Effect.Effect<A, HubError>,
  wanted: Effect.Effect<Range | undefined> = Effect.succeed(undefined)
): Effect.Effect<A, HubError> =>
  retry(
    Effect.flatMap(wanted, (range) => followRedirects(http, target, new URL(url), limits, range, maxRedirects)).pipe(
      Effect.flatMap(read),
      Effect.scoped,
      bound(target, limits)
    ),
    limits.attempts
  )
