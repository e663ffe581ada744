/** A response whose body is read while it arrives. One attempt, over the HttpClient itself: whoever reads it decides what to do next. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { updateFiberRef, withCaller } from "../effect/runtime.ts"
import type { Endpoint } from "../codec/endpointTraits.ts"
import { withAttemptHeaders } from "../transport/attempt.ts"
import type { AnyCallOptions } from "../transport/callOptions.ts"
import { classify, transportError } from "../transport/classify.ts"
import { type SendError, toBuffered, toClientRequest, toFailure } from "../transport/httpClientExchange.ts"
import { type PendingRequest, prepare, urlOf } from "../transport/request.ts"
import type { Transport } from "../transport/transport.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"

/**
 * The head of a response, and its body as it comes. The request ends with the stream.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamedResponse {
  readonly contentType: string
  readonly body: Stream.Stream<Uint8Array, TinkerError.TinkerError>
}

/** What sends the request, and the headers that no span shows. @internal */
export interface Sender {
  readonly http: HttpClient.HttpClient
  readonly secretNames: ReadonlyArray<string>
}

/** The response, or the error that it stands for. */
const accept = (
  transport: Transport,
  pending: PendingRequest,
  key: Redacted.Redacted,
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<StreamedResponse, TinkerError.TinkerError> => {
  const url = urlOf(pending.template)
  const toError = (error: SendError) => transportError(url, pending.subject, toFailure(error))
  if (response.status !== 200) {
    return toBuffered(response, transport.maxResponseBytes).pipe(
      Effect.mapError(toError),
      Effect.flatMap((buffered) => classify(transport, { url, ...buffered }, pending.subject, key)),
      Effect.as({ contentType: "", body: Stream.empty })
    )
  }
  return Effect.succeed({
    contentType: response.headers["content-type"] ?? "",
    body: Stream.mapError(response.stream, toError)
  })
}

/** @internal */
export const stream = (
  transport: Transport,
  { http, secretNames }: Sender,
  endpoint: Endpoint,
  payload: unknown,
  options: AnyCallOptions
): Effect.Effect<StreamedResponse, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    const policy = options.policy ?? (yield* RetryPolicy.CurrentRetryPolicy)
    const pending = yield* prepare(transport, endpoint, payload, options, policy)
    const key = yield* transport.accessTokens.current()
    const request = toClientRequest(
      yield* withCaller((caller) => Effect.succeed(withAttemptHeaders(pending, key, caller)))
    )
    yield* updateFiberRef(Headers.currentRedactedNames, (names) => [...names, ...secretNames])
    const response = yield* http.execute(request).pipe(
      Effect.mapError((error) => transportError(urlOf(pending.template), pending.subject, toFailure(error))),
      Effect.timeoutFail({
        duration: policy.timeout,
        onTimeout: () => transportError(urlOf(pending.template), pending.subject, { reason: "Timeout" })
      }),
      Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })
    )
    return yield* accept(transport, pending, key, response)
  })
