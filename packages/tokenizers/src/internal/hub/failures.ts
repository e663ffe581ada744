/** What a failed response of the hub means, and how long it asks to wait. */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type ErrorDetails, type HubError, makeError, type Remote } from "./model.ts"
import { isBelowEndpoint } from "./settings.ts"

type Headers = HttpClientResponse.HttpClientResponse["headers"]

/** Seconds or a date in `Retry-After`, or the reset of the limit that the hub reports. */
const retryAfter = (headers: Headers, now: number): number | undefined => {
  const given = headers["retry-after"]?.trim() ?? ""
  if (/^\d+(\.\d+)?$/.test(given)) return Number(given)
  const date = given === "" ? Number.NaN : Date.parse(given)
  if (!Number.isNaN(date)) return Math.max(0, Math.ceil((date - now) / 1000))
  const reset = /;\s*t\s*=\s*(\d{1,9})/.exec(headers["ratelimit"] ?? "")
  return reset === null ? undefined : Number(reset[1])
}

const unauthorized = (target: Remote, more: ErrorDetails): HubError => {
  const advice = target.token === undefined ? "set HF_TOKEN" : "check that HF_TOKEN is valid and may read it"
  return makeError(target, "Unauthorized", `it does not exist or is private: check the name, or ${advice}`, more)
}

const forbidden = (target: Remote, headers: Headers, more: ErrorDetails): HubError => {
  // The hub sends the reason in its `x-error-…` headers; proxies and firewalls do not.
  if (more.code !== undefined || headers["x-error-message"] !== undefined) {
    const detail = "the token may not read it: give it the permission, or set HF_TOKEN to another"
    return makeError(target, "Unauthorized", detail, more)
  }
  const detail =
    `${target.endpoint} responded with 403, but not as a hub does: a proxy or firewall may block it. ` +
    "Check the network, the proxy and HF_ENDPOINT"
  return makeError(target, "Unreachable", detail, more)
}

const notFound = (target: Remote, more: ErrorDetails): HubError => {
  const page = `${target.endpoint}/${target.repo}`
  const detail =
    more.code === "RevisionNotFound"
      ? `${page} has no branch, tag or commit of this name`
      : `there is no such repository or revision at ${page}`
  return makeError(target, "NotFound", detail, more)
}

const unreachable = (target: Remote, origin: string, status: number, more: ErrorDetails): HubError => {
  const wait = more.retryAfter === undefined ? "" : ` and asks to wait ${more.retryAfter} s`
  return makeError(target, "Unreachable", `${origin} responded with ${status}${wait}`, more)
}

const toError = (target: Remote, headers: Headers, status: number, more: ErrorDetails): HubError => {
  if (more.code === "GatedRepo") {
    const page = `${target.endpoint}/${target.repo}`
    const detail = `request access at ${page}, then set HF_TOKEN to a token of that account`
    return makeError(target, "Gated", detail, more)
  }
  if (status === 401) return unauthorized(target, more)
  if (status === 403) return forbidden(target, headers, more)
  if (status === 404) return notFound(target, more)
  return unreachable(target, target.endpoint, status, more)
}

/** A header that is short enough to be shown. */
const shortHeader = (value: string | undefined): string | undefined => value?.slice(0, 200)

/** The error of a failed response to this URL. @internal */
export const responseError = (
  target: Remote,
  url: URL,
  { headers, status }: HttpClientResponse.HttpClientResponse
): Effect.Effect<never, HubError> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const more = {
      status,
      requestId: shortHeader(headers["x-request-id"]),
      code: shortHeader(headers["x-error-code"]),
      retryAfter: status === 429 || status >= 500 ? retryAfter(headers, now) : undefined
    }
    // a storage host knows nothing of repositories and tokens
    return isBelowEndpoint(target.endpoint, url)
      ? toError(target, headers, status, more)
      : unreachable(target, url.origin, status, more)
  })
