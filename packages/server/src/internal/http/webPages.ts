/** Decides which requests web pages may send: the hosts and origins that a service accepts, and the headers of CORS. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as apiErrors from "./apiErrors.ts"
import * as signedPaths from "./signedPaths.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/** @internal */
export interface Policy {
  /** a service without keys responds to loopback hosts only */
  readonly hasKeys: boolean
  /** the origins that may call the service from a page, and read its responses */
  readonly allowOrigins: ReadonlyArray<string>
}

/** Whether a host name or address is local. @internal */
export const isLoopback = (host: string): boolean =>
  /^localhost$/i.test(host) || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)

/** Whether the text is an origin as browsers send it, such as `https://example.com`. @internal */
export const isOrigin = (text: string): boolean =>
  URL.canParse(text) && new URL(text).origin === text && text !== "null" && !text.includes("*")

/** The host without its port, and an IPv6 address without its brackets. */
const withoutPort = (host: string): string => {
  const found = /^(?:\[([\da-f:.]+)\]|([^:[\]@/]+))(?::\d+)?$/i.exec(host)
  return found?.[1] ?? found?.[2] ?? ""
}

const isOwnOrigin = (origin: string, host: string | undefined): boolean =>
  isOrigin(origin) && new URL(origin).host === host?.toLowerCase()

/** Whether the browser's headers name a page of another origin as the sender. */
const isForeign = ({ headers }: Request): boolean =>
  headers["sec-fetch-site"] === "cross-site" ||
  (headers["origin"] !== undefined && !isOwnOrigin(headers["origin"], headers["host"]))

/** The origin of a request, if the operator allows it. */
const allowedOrigin = ({ allowOrigins }: Policy, { headers }: Request): string | undefined =>
  allowOrigins.find((origin) => origin === headers["origin"])

/** The response to a request that no handler may see; `undefined` if there is no objection. @internal */
export const objectionTo = (policy: Policy, request: Request): Response | undefined => {
  const { headers } = request
  if (!policy.hasKeys && !isLoopback(withoutPort(headers["host"] ?? ""))) {
    return apiErrors.toResponse({
      status: 421,
      detail:
        "a service without API keys responds to the hosts localhost, 127.0.0.1 and [::1] only: set keys for others"
    })
  }
  if (allowedOrigin(policy, request) !== undefined || !isForeign(request)) return undefined
  // a signed URL authorizes itself, so that a link to it works from any page
  if (signedPaths.isDownload(request) && headers["origin"] === undefined) return undefined
  return apiErrors.toResponse({
    status: 403,
    detail: "the request comes from a web page of another origin: allow its origin if it is yours (--allow-origin)"
  })
}

/** The response to a preflight request of an allowed origin; `undefined` for any other request. @internal */
export const preflight = (policy: Policy, request: Request): Response | undefined => {
  const { headers, method } = request
  if (method !== "OPTIONS" || allowedOrigin(policy, request) === undefined) return undefined
  if (headers["access-control-request-method"] === undefined) return undefined
  const isPrivate = headers["access-control-request-private-network"] === "true"
  return HttpServerResponse.empty({
    status: 204,
    headers: {
      "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE",
      "access-control-allow-headers": headers["access-control-request-headers"] ?? "content-type, x-api-key",
      "access-control-max-age": "600",
      ...(isPrivate ? { "access-control-allow-private-network": "true" } : {})
    }
  })
}

/** Lets an allowed origin read the response. @internal */
export const withCors = (policy: Policy, request: Request, response: Response): Response => {
  if (policy.allowOrigins.length === 0) return response
  // caches must not return a response for one origin to another
  const varying = HttpServerResponse.setHeader(response, "vary", "Origin")
  const origin = allowedOrigin(policy, request)
  return origin === undefined
    ? varying
    : HttpServerResponse.setHeaders(varying, {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "retry-after, x-should-retry, x-request-id"
      })
}
