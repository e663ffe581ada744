import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as RetryPolicy from "../../RetryPolicy.ts"
import * as signedUrls from "../rest/signedUrls.ts"

/** @internal */
export const fileError = (method: string, path: string) => (cause: PlatformError.PlatformError) =>
  new TinkerError.FileError({ method, path, reason: `cannot be used: ${cause.message}`, cause })

/** @internal */
export interface Transfer {
  readonly method: string
  readonly file: string
  /** asked for again when it has expired or is refused */
  readonly url: Effect.Effect<{ readonly url: string; readonly expires: DateTime.Utc }, TinkerError.TinkerError>
  readonly maxSize: number
  readonly onProgress: (received: number, total: number | undefined) => Effect.Effect<void>
}

// in a row, without a byte between them
const maxFailures = 8

const lengthOf = (response: HttpClientResponse.HttpClientResponse): number | undefined => {
  const { "content-encoding": encoding = "identity", "content-length": length } = response.headers
  return encoding === "identity" && length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined
}

/** Where the bytes of an answer belong, and how many there are in all. */
const placeOf = (
  response: HttpClientResponse.HttpClientResponse,
  wanted: number
): { readonly from: number; readonly total: number | undefined } => {
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers["content-range"] ?? "")
  // a server that knows no ranges starts again
  if (response.status !== 206 || range === null || Number(range[1]) !== wanted) {
    return { from: 0, total: lengthOf(response) }
  }
  return { from: wanted, total: range[2] === "*" ? undefined : Number(range[2]) }
}

/** Whether another URL may help: the service signs them for a while. */
const isRefused = ({ _tag }: TinkerError.TinkerError): boolean =>
  _tag === "PermissionDenied" ||
  _tag === "NotFound" ||
  _tag === "FutureExpired" ||
  _tag === "Unauthorized" ||
  // the signature's own service calls it a bad request
  _tag === "BadRequest"

/** Fetches to a file, and answers its size; goes on after a cut where it was. @internal */
export const toFile = ({ file, maxSize, method, onProgress, url }: Transfer) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const http = yield* HttpClient.HttpClient
    const policy = yield* RetryPolicy.CurrentRetryPolicy
    const failed = fileError(method, file)
    const out = yield* Effect.mapError(fs.open(file, { flag: "w" }), failed)
    const lost = (reason: "Connection" | "Timeout", at: string, cause?: unknown) =>
      new TinkerError.TransportError({ method, reason, url: at, ...(cause === undefined ? {} : { cause }) })

    let signed = yield* url
    let received = 0
    let total: number | undefined
    let tag: string | undefined

    const tooLarge = () =>
      new TinkerError.FileError({ method, path: file, reason: `would be larger than ${maxSize} bytes` })

    const restart = Effect.gen(function* () {
      yield* Effect.mapError(out.truncate(0), failed)
      yield* out.seek(0, "start")
      received = 0
    })

    const attempt = Effect.gen(function* () {
      if (signed.expires.epochMillis <= (yield* Clock.currentTimeMillis)) signed = yield* url
      const shown = signed.url.split("?")[0]!
      const response = yield* signedUrls
        .execute(
          http,
          method,
          HttpClientRequest.get(signed.url).pipe(
            HttpClientRequest.setHeaders({
              // a compressed answer could not be gone on with
              "accept-encoding": "identity",
              ...(received > 0 ? { range: `bytes=${received}-` } : {}),
              ...(received > 0 && tag !== undefined ? { "if-range": tag } : {})
            })
          )
        )
        .pipe(Effect.timeoutFail({ duration: policy.timeout, onTimeout: () => lost("Timeout", shown) }))
      const place = placeOf(response, received)
      // another file under the same URL
      if (place.from > 0 && total !== undefined && place.total !== undefined && place.total !== total) {
        yield* restart
        return false
      }
      if (place.from === 0 && received > 0) yield* restart
      total = place.total
      tag = response.headers["etag"]?.startsWith("W/") ? undefined : response.headers["etag"]
      if (total !== undefined && total > maxSize) return yield* tooLarge()
      yield* onProgress(received, total)
      yield* response.stream.pipe(
        Stream.mapError((error) => lost("Connection", shown, error.cause)),
        Stream.timeoutFail(() => lost("Timeout", shown), policy.timeout),
        Stream.runForEach((bytes) =>
          Effect.gen(function* () {
            if (received + bytes.length > maxSize) return yield* tooLarge()
            yield* Effect.mapError(out.writeAll(bytes), failed)
            received += bytes.length
            yield* onProgress(received, total)
          })
        )
      )
      if (total !== undefined && received < total) return yield* lost("Connection", shown)
      if (total !== undefined && received > total) {
        return yield* new TinkerError.DecodeError({
          method,
          reason: `${received} bytes came where ${total} were announced`
        })
      }
      return true
    }).pipe(
      Effect.scoped,
      Effect.catchIf(
        // the range lies behind the end: either all is there, or the file is another
        (error) => error._tag === "BadRequest" && error.status === 416,
        () => (received > 0 && received === total ? Effect.succeed(true) : Effect.as(restart, false))
      )
    )

    let failures = 0
    while (true) {
      const before = received
      const result = yield* Effect.either(attempt)
      if (result._tag === "Right" && result.right) break
      if (received > before) failures = 0
      failures++
      if (result._tag === "Left") {
        const error = result.left
        const renew = isRefused(error) && failures < 3
        if ((!error.isRetryable && !renew) || failures >= maxFailures) return yield* error
        if (renew) signed = yield* url
        const delay = Math.min(Duration.toMillis(policy.first) * 2 ** (failures - 1), Duration.toMillis(policy.cap))
        const wait = error.retryAfter ?? Duration.millis(delay * (0.75 + 0.25 * (yield* Random.next)))
        yield* Effect.sleep(wait)
      } else if (failures >= maxFailures) {
        return yield* new TinkerError.DecodeError({
          method,
          reason: "the file changed again and again while it was fetched"
        })
      }
    }
    yield* Effect.mapError(out.sync, failed)
    return received
  }).pipe(Effect.scoped)
