/** Requests to the hub: redirects, retries, and the errors of failed responses. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { requestReason } from "../util/causes.ts"
import { type HubError, makeError, type Target } from "./model.ts"

const maxRedirects = 5

const isTransient = (status: number) => status === 408 || status === 429 || status >= 500

const retrySchedule = (attempts: number) =>
  Schedule.exponential("500 millis", 2).pipe(Schedule.jittered, Schedule.intersect(Schedule.recurs(attempts - 1)))

const toError = (target: Target, { headers, status }: HttpClientResponse.HttpClientResponse): HubError => {
  const page = `${target.endpoint}/${target.repo}`
  const more = { status, requestId: headers["x-request-id"] }
  if (headers["x-error-code"] === "GatedRepo" || status === 403) {
    const detail = `request access at ${page}, then set HF_TOKEN to a token of that account`
    return makeError(target, "Gated", detail, more)
  }
  if (status === 401) {
    const advice = target.options.token === undefined ? "set HF_TOKEN" : "check that HF_TOKEN is valid and may read it"
    const detail = `it does not exist or is private: check the name, or ${advice}`
    return makeError(target, "Unauthorized", detail, more)
  }
  if (status === 404) return makeError(target, "NotFound", `there is no such repository or revision at ${page}`, more)
  return makeError(target, "Unreachable", `${target.endpoint} responded with ${status}`, more)
}

/** Sends one request. Only requests to the endpoint carry the token. */
const send = (
  http: HttpClient.HttpClient,
  target: Target,
  url: URL
): Effect.Effect<HttpClientResponse.HttpClientResponse, HubError, Scope.Scope> => {
  const { endpoint, options } = target
  const isEndpoint = `${url.href}/`.startsWith(`${endpoint}/`)
  const request = HttpClientRequest.get(url)
  return http
    .execute(
      isEndpoint && options.token !== undefined ? HttpClientRequest.bearerToken(request, options.token) : request
    )
    .pipe(
      Effect.timeoutFail({
        duration: "30 seconds",
        onTimeout: () => makeError(target, "Unreachable", `${url.origin} did not respond within 30 s`)
      }),
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

const redirectUrl = (target: Target, from: URL, location: string): Effect.Effect<URL, HubError> =>
  Effect.flatMap(
    Effect.try({
      try: () => new URL(location, from),
      catch: () => makeError(target, "Unreachable", `${from.origin} redirects to an invalid URL`)
    }),
    (to) =>
      from.protocol === "https:" && to.protocol !== "https:"
        ? makeError(target, "Unreachable", `${from.origin} redirects to ${to.origin}, which is not encrypted`)
        : Effect.succeed(to)
  )

const followRedirects = (
  http: HttpClient.HttpClient,
  target: Target,
  url: URL,
  redirectsLeft: number
): Effect.Effect<HttpClientResponse.HttpClientResponse, HubError, Scope.Scope> =>
  Effect.gen(function* () {
    const response = yield* send(http, target, url)
    const location = response.headers["location"]
    if (response.status >= 300 && response.status < 400 && location !== undefined) {
      if (redirectsLeft === 0) return yield* makeError(target, "Unreachable", `${target.endpoint} redirects too often`)
      return yield* followRedirects(http, target, yield* redirectUrl(target, url, location), redirectsLeft - 1)
    }
    return response.status === 200 ? response : yield* toError(target, response)
  })

/** A client that sends neither trace ids nor spans to the hub. @internal */
export const withoutTracing = (http: HttpClient.HttpClient): HttpClient.HttpClient =>
  HttpClient.withTracerPropagation(http, false)

/** Sends a request and reads the response, with up to `attempts` attempts. @internal */
export const get = <A>(
  http: HttpClient.HttpClient,
  target: Target,
  url: string,
  attempts: number,
  read: (response: HttpClientResponse.HttpClientResponse) => Effect.Effect<A, HubError>
): Effect.Effect<A, HubError> =>
  followRedirects(http, target, new URL(url), maxRedirects).pipe(
    Effect.flatMap(read),
    Effect.scoped,
    Effect.retry({
      schedule: retrySchedule(attempts),
      while: (error) =>
        error.reason === "Corrupt" || (error.reason === "Unreachable" && isTransient(error.status ?? 500))
    })
  )
