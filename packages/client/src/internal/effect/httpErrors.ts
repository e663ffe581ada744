/** Makes the errors of `@effect/platform`'s HttpClient. */
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"

/** The request could not be sent, or got no response. @internal */
export const requestError = (
  request: HttpClientRequest.HttpClientRequest,
  reason: HttpClientError.RequestError["reason"],
  details: { readonly cause?: unknown; readonly description?: string }
): HttpClientError.RequestError => new HttpClientError.RequestError({ request, reason, ...details })

/** The body of a response could not be read. @internal */
export const decodeError = (
  request: HttpClientRequest.HttpClientRequest,
  response: HttpClientResponse.HttpClientResponse,
  cause: unknown
): HttpClientError.ResponseError => new HttpClientError.ResponseError({ request, response, reason: "Decode", cause })
