/** Sends requests to signed URLs, which carry no API key. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** A signed URL without its query, which grants access and must not appear in errors. @internal */
export const withoutSignature = (url: string): string => url.split("?")[0]!

/** Sends a request, and fails unless the response is successful. Its body is not read yet. @internal */
export const execute = (
  http: HttpClient.HttpClient,
  method: string,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientResponse.HttpClientResponse, TinkerError.TinkerError, Scope.Scope> => {
  const url = withoutSignature(request.url)
  return http.execute(request).pipe(
    Effect.mapError(
      (error) => new TinkerError.TransportError({ method, reason: "Connection", url, cause: error.cause })
    ),
    Effect.flatMap((response) =>
      response.status >= 200 && response.status < 300 ? Effect.succeed(response) : failWith(method, response)
    )
  )
}

const failWith = (
  method: string,
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<never, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    const body = yield* Effect.orElseSucceed(response.text, () => "")
    return yield* TinkerError.fromResponse({
      method,
      status: response.status,
      headers: response.headers,
      body,
      now: yield* Clock.currentTimeMillis
    })
  })
