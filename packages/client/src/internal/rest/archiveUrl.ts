/** Requests the signed URL of a checkpoint's archive, and waits while the service builds the archive. */
import * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as codec from "../codec/endpoint.ts"
import * as inputs from "./inputs.ts"
import { isMissingRoute, withoutKind } from "./operation.ts"
import type * as options from "./options.ts"
import * as signedUrls from "./signedUrls.ts"
import type { DurationInput } from "../util/duration.ts"

const method = "getCheckpointArchiveUrl"
const defaultTimeout: DurationInput = "10 minutes"
const defaultRetryMillis = 30_000

// the lifetime of a signed URL if the response has none
const defaultLifetimeMillis = Duration.toMillis("15 minutes")

const decodeArchive = Schema.decodeUnknown(Schema.parseJson(Checkpoint.ArchiveUrlResponse))

const unreadable = (reason: string) => new TinkerError.DecodeError({ method, reason })

/**
 * Sends the request. Services whose routes have no kind reject it (404 or 405), and know the checkpoint by its bare name.
 */
const sendRequest = (
  client: TinkerClient.Service,
  path: TinkerPath.TinkerPath,
  policy: RetryPolicy.RetryPolicy
): options.RestEffect<TinkerClient.RawResponse> => {
  const options = { method, path, policy: { ...policy, ...RetryPolicy.never, timeout: policy.timeout } }
  const byName = client.request(withoutKind(TinkerApi.getCheckpointArchive), inputs.noPayload, options)
  return path.kind === "checkpoints"
    ? byName
    : Effect.catchIf(
        client.request(TinkerApi.getCheckpointArchive, inputs.noPayload, options),
        isMissingRoute,
        (missing) =>
          Effect.mapError(byName, (error) =>
            // a route that exists says more about the checkpoint
            isMissingRoute(error) && missing._tag === "NotFound" ? missing : error
          )
      )
}

/** Sends one request. A 503 means that the archive is being built, so it is returned and not retried as a failure. */
const requestArchive = (
  client: TinkerClient.Service,
  path: TinkerPath.TinkerPath,
  policy: RetryPolicy.RetryPolicy
): options.RestEffect<TinkerClient.RawResponse | TinkerError.ServerError> =>
  sendRequest(client, path, policy).pipe(
    Effect.catchIf(
      (error): error is TinkerError.ServerError => error._tag === "ServerError" && error.status === 503,
      (building) => Effect.succeed(building)
    ),
    RetryPolicy.apply(policy, client.reportRetries().onRetry)
  )

const resolveUrl = (url: string, base: string): Effect.Effect<string, TinkerError.DecodeError> =>
  URL.canParse(url, base)
    ? signedUrls.checkScheme(method, new URL(url, base).href)
    : Effect.fail(unreadable(`${JSON.stringify(url)} is not a URL`))

/** Reads the signed URL from a redirect, or from the body of a response. */
const readSignedUrl = (response: TinkerClient.RawResponse, now: number): options.RestEffect<options.SignedUrl> =>
  Effect.gen(function* () {
    const orDefault = Option.getOrElse(() => DateTime.unsafeMake(now + defaultLifetimeMillis))
    if (response.status >= 300) {
      const { expires = "", location } = response.headers
      if (location === undefined) return yield* unreadable(`status ${response.status} without a Location`)
      return {
        url: yield* resolveUrl(location, response.url),
        expires: orDefault(DateTime.make(Date.parse(expires)))
      }
    }
    const body = yield* Effect.mapError(decodeArchive(new TextDecoder().decode(response.body)), (error) =>
      unreadable(codec.reason(error))
    )
    return { url: yield* resolveUrl(body.url, response.url), expires: orDefault(Option.fromNullable(body.expires)) }
  })

/** @internal */
export const getArchiveUrl = (
  client: TinkerClient.Service,
  path: TinkerPath.TinkerPath,
  atMost: DurationInput = defaultTimeout
): options.RestEffect<options.SignedUrl> =>
  Effect.gen(function* () {
    const policy = yield* RetryPolicy.CurrentRetryPolicy
    const deadline = (yield* Clock.currentTimeMillis) + Duration.toMillis(atMost)
    while (true) {
      const response = yield* requestArchive(client, path, policy)
      const now = yield* Clock.currentTimeMillis
      if (!("_tag" in response)) return yield* readSignedUrl(response, now)
      const delay = response.retryAfter === undefined ? defaultRetryMillis : Duration.toMillis(response.retryAfter)
      if (now + delay > deadline) return yield* response
      yield* Effect.sleep(delay)
    }
  })
