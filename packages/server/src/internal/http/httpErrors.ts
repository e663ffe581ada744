/** Constructs Effect's HTTP errors: the one place of this package that does. */
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpServerError from "@effect/platform/HttpServerError"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"

/** Why a body has no bytes. @internal */
export interface BodyProblem {
  readonly cause?: unknown
  readonly description?: string
}

/** @internal */
export const invalidUrl = (request: HttpClientRequest.HttpClientRequest, cause: unknown) =>
  new HttpClientError.RequestError({ request, reason: "InvalidUrl", cause })

/** The body of a request cannot be sent. @internal */
export const requestBody = (request: HttpClientRequest.HttpClientRequest, problem: BodyProblem) =>
  new HttpClientError.RequestError({ request, reason: "Encode", ...problem })

/** The body of a response cannot be sent. @internal */
export const responseBody = (request: HttpClientRequest.HttpClientRequest, problem: BodyProblem) =>
  new HttpClientError.RequestError({ request, reason: "Transport", ...problem })

/** The client cannot read a response. @internal */
export const unreadableResponse = (
  request: HttpClientRequest.HttpClientRequest,
  response: HttpClientResponse.HttpClientResponse,
  cause: unknown
) => new HttpClientError.ResponseError({ request, response, reason: "Decode", cause })

/** The server cannot read a request. @internal */
export const unreadableRequest = (request: HttpServerRequest.HttpServerRequest, cause: unknown) =>
  new HttpServerError.RequestError({ request, reason: "Decode", cause })

/** A handler uses a feature that needs a socket. @internal */
export const unsupportedRequest = (request: HttpServerRequest.HttpServerRequest, description: string) =>
  new HttpServerError.RequestError({ request, reason: "Decode", description })
