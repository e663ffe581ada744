import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as Effect from "effect/Effect"

/** @internal */
export const direct: unique symbol = Symbol.for("~@effect-tinker/client/direct")

/**
 * The short way through an `HttpClient`: it follows no redirect, and keeps the time by itself (milliseconds until the
 * answer's head, and between any two parts of its body), so that no fiber need watch each request.
 *
 * @internal
 */
export interface Direct {
  readonly [direct]: (
    request: HttpClientRequest.HttpClientRequest,
    millis: number
  ) => Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.RequestError>
}
