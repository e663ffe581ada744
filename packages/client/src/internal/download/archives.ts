import * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as codec from "../codec/endpoint.ts"

const decodeArchive = Schema.decodeUnknown(Schema.parseJson(Checkpoint.ArchiveUrlResponse))

const lifetime = Duration.toMillis("15 minutes")

/** Where an archive can be fetched; waits while it is built. @internal */
export const urlOf = (
  client: TinkerClient.Service,
  path: TinkerPath.TinkerPath,
  atMost: Duration.DurationInput = "10 minutes"
): Effect.Effect<{ readonly url: string; readonly expires: DateTime.Utc }, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    const method = "getCheckpointArchiveUrl"
    const policy = yield* RetryPolicy.CurrentRetryPolicy
    const deadline = (yield* Clock.currentTimeMillis) + Duration.toMillis(atMost)
    const unreadable = (reason: string) => new TinkerError.DecodeError({ method, reason })

    // 503 says that the archive is being built: it is no fault to back off from
    const ask = client
      .request(TinkerApi.getCheckpointArchive, undefined as never, {
        method,
        path,
        policy: { ...policy, ...RetryPolicy.never, timeout: policy.timeout }
      })
      .pipe(
        Effect.catchIf((error) => error._tag === "ServerError" && error.status === 503, Effect.succeed),
        RetryPolicy.apply(policy)
      )

    while (true) {
      const answer = yield* ask
      const now = yield* Clock.currentTimeMillis
      if ("_tag" in answer) {
        const wait = answer.retryAfter === undefined ? 30_000 : Duration.toMillis(answer.retryAfter)
        if (now + wait > deadline) return yield* answer
        yield* Effect.sleep(wait)
        continue
      }
      const expiry = (expires: Option.Option<DateTime.Utc>) =>
        Option.getOrElse(expires, () => DateTime.unsafeMake(now + lifetime))
      const absolute = (url: string) =>
        URL.canParse(url, answer.url)
          ? Effect.succeed(new URL(url, answer.url).href)
          : Effect.fail(unreadable(`${JSON.stringify(url)} is no URL`))
      if (answer.status >= 300) {
        const { expires = "", location } = answer.headers
        if (location === undefined) return yield* unreadable(`status ${answer.status} without a Location`)
        return { url: yield* absolute(location), expires: expiry(DateTime.make(Date.parse(expires))) }
      }
      const body = yield* decodeArchive(new TextDecoder().decode(answer.body)).pipe(
        Effect.mapError((error) => unreadable(codec.reason(error)))
      )
      return { url: yield* absolute(body.url), expires: expiry(Option.fromNullable(body.expires)) }
    }
  })

/**
 * A request to a signed URL: it carries no key. The body is not read; an answer that is not a success fails.
 *
 * @internal
 */
export const fetch = (
  http: HttpClient.HttpClient,
  method: string,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientResponse.HttpClientResponse, TinkerError.TinkerError, Scope.Scope> => {
  // the query of a signed URL is leave to fetch it
  const url = request.url.split("?")[0]!
  return http.execute(request).pipe(
    Effect.mapError(
      (error) => new TinkerError.TransportError({ method, reason: "Connection", url, cause: error.cause })
    ),
    Effect.flatMap((response) =>
      response.status >= 200 && response.status < 300
        ? Effect.succeed(response)
        : Effect.gen(function* () {
            const body = yield* Effect.orElseSucceed(response.text, () => "")
            return yield* TinkerError.fromResponse({
              method,
              status: response.status,
              headers: response.headers,
              body,
              now: yield* Clock.currentTimeMillis
            })
          })
    )
  )
}
