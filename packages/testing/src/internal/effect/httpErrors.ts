/** Constructors of the errors of Effect's HTTP client. */
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"

/** @internal */
export type HttpClientErrors = HttpClientError.HttpClientError

/** @internal */
export type RequestError = HttpClientError.RequestError

/** A request without a response. @internal */
export const requestError = (options: {
  readonly request: HttpClientRequest.HttpClientRequest
  readonly reason: "Transport" | "Encode" | "InvalidUrl"
  readonly description?: string
  readonly cause?: unknown
}): HttpClientError.RequestError => new HttpClientError.RequestError(options)

/** A response whose body cannot be read. @internal */
export const bodyError = (
  response: HttpClientResponse.HttpClientResponse,
  description: string
): HttpClientError.ResponseError =>
  new HttpClientError.ResponseError({ request: response.request, response, reason: "Decode", description })
