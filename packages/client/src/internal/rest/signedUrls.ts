/** Sends requests to signed URLs, which carry no API key. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { failureOf, fieldsOf } from "../network/failure.ts"
import { readBounded } from "../util/boundedBody.ts"

/** A signed URL without its query, which grants access and must not appear in errors. @internal */
export const withoutSignature = (url: string): string => url.split("?")[0]!

/** Fails at once for a URL that is not http(s), such as the path of a directory on the machine of the service. @internal */
export const checkScheme = (method: string, url: string): Effect.Effect<string, TinkerError.DecodeError> =>
  /^https?:/i.test(url)
    ? Effect.succeed(url)
    : new TinkerError.DecodeError({
        method,
        reason:
          `the service names ${JSON.stringify(withoutSignature(url))}, which is no http(s) URL: ` +
          "a file path leads to the files on the machine of the service, to be copied there"
      })

/** Sends a request, and fails unless the response is successful. Its body is not read yet. @internal */
export const execute = (
  http: HttpClient.HttpClient,
  method: string,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientResponse.HttpClientResponse, TinkerError.TinkerError, Scope.Scope> => {
  const url = withoutSignature(request.url)
  const execute = Effect.mapError(
    http.execute(request),
    (error) => new TinkerError.TransportError({ method, url, ...fieldsOf(failureOf(error.cause)) })
  )
  return checkScheme(method, request.url).pipe(
    Effect.andThen(execute),
    Effect.flatMap((response) =>
      response.status >= 200 && response.status < 300 ? Effect.succeed(response) : failWith(method, response)
    )
  )
}

/** The largest error of a storage service that is read. */
const maxErrorBytes = 1024 * 1024

const failWith = (
  method: string,
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<never, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    const bytes = yield* Effect.orElseSucceed(readBounded(response, maxErrorBytes), () => new Uint8Array(0))
    return yield* TinkerError.fromResponse({
      method,
      status: response.status,
      headers: response.headers,
      body: new TextDecoder().decode(bytes),
      now: yield* Clock.currentTimeMillis,
      advice: "The signed URL may have expired: run the operation again for another."
    })
  })
