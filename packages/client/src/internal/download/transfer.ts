/** Downloads a signed URL to a file, and resumes where a connection was lost. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as RetryPolicy from "../../RetryPolicy.ts"
import { jittered } from "../util/backoff.ts"
import * as signedUrls from "../rest/signedUrls.ts"
import { fileError } from "./fileErrors.ts"

interface Transfer {
  readonly method: string
  readonly file: string
  /** requests a signed URL; called again when the last one has expired or is rejected */
  readonly url: Effect.Effect<{ readonly url: string; readonly expires: DateTime.Utc }, TinkerError.TinkerError>
  readonly maxSize: number
  readonly onProgress: (received: number, total: number | undefined) => Effect.Effect<void>
}

// failures in a row without a byte in between
const maxFailures = 8
const maxRenewals = 2

interface State extends Transfer {
  readonly http: HttpClient.HttpClient
  readonly policy: RetryPolicy.RetryPolicy
  readonly out: FileSystem.File
  signed: { readonly url: string; readonly expires: DateTime.Utc }
  received: number
  /** size of the file, where the server reports it */
  total: number | undefined
  /** identifies the version of the file that was received so far */
  etag: string | undefined
}

const contentLength = (response: HttpClientResponse.HttpClientResponse): number | undefined => {
  const { "content-encoding": encoding = "identity", "content-length": length } = response.headers
  return encoding === "identity" && length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined
}

/** The offset of a response's bytes in the file, and the size of the file. */
const readRange = (
  response: HttpClientResponse.HttpClientResponse,
  requestedOffset: number
): { readonly offset: number; readonly total: number | undefined } => {
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers["content-range"] ?? "")
  // a server that does not support ranges sends the whole file
  if (response.status !== 206 || range === null || Number(range[1]) !== requestedOffset) {
    return { offset: 0, total: contentLength(response) }
  }
  return { offset: requestedOffset, total: range[2] === "*" ? undefined : Number(range[2]) }
}

/** A strong ETag; a weak one does not identify bytes. */
const strongEtag = (response: HttpClientResponse.HttpClientResponse): string | undefined => {
  const { etag } = response.headers
  return etag?.startsWith("W/") === true ? undefined : etag
}

/** Whether a new signed URL may help. Some storage services report an expired signature as a bad request. */
const mayBeExpired = ({ _tag }: TinkerError.TinkerError): boolean =>
  _tag === "PermissionDenied" ||
  _tag === "NotFound" ||
  _tag === "FutureExpired" ||
  _tag === "Unauthorized" ||
  _tag === "BadRequest"

const transportError = ({ method, signed }: State, reason: "Connection" | "Timeout", cause?: unknown) =>
  new TinkerError.TransportError({
    method,
    reason,
    url: signedUrls.withoutSignature(signed.url),
    ...(cause === undefined ? {} : { cause })
  })

const tooLarge = ({ file, maxSize, method }: State) =>
  new TinkerError.FileError({ method, path: file, reason: `would be larger than ${maxSize} bytes` })

/** Discards what was received. */
const restart = (state: State): Effect.Effect<void, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    yield* Effect.mapError(state.out.truncate(0), fileError(state.method, state.file))
    yield* state.out.seek(0, "start")
    state.received = 0
  })

/** Requests the bytes that are missing. */
const requestRest = (
  state: State
): Effect.Effect<HttpClientResponse.HttpClientResponse, TinkerError.TinkerError, Scope.Scope> => {
  const { etag, http, method, policy, received, signed } = state
  const request = HttpClientRequest.setHeaders(HttpClientRequest.get(signed.url), {
    // a compressed response could not be resumed
    "accept-encoding": "identity",
    ...(received > 0 ? { range: `bytes=${received}-` } : {}),
    ...(received > 0 && etag !== undefined ? { "if-range": etag } : {})
  })
  return Effect.timeoutFail(signedUrls.execute(http, method, request), {
    duration: policy.timeout,
    onTimeout: () => transportError(state, "Timeout")
  })
}

/** Appends the body of a response to the file. */
const writeBody = (
  state: State,
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<void, TinkerError.TinkerError> =>
  response.stream.pipe(
    Stream.mapError((error) => transportError(state, "Connection", error.cause)),
    Stream.timeoutFail(() => transportError(state, "Timeout"), state.policy.timeout),
    Stream.runForEach((bytes) =>
      Effect.gen(function* () {
        if (state.received + bytes.length > state.maxSize) return yield* tooLarge(state)
        yield* Effect.mapError(state.out.writeAll(bytes), fileError(state.method, state.file))
        state.received += bytes.length
        yield* state.onProgress(state.received, state.total)
      })
    )
  )

/** Fails unless as many bytes were received as were announced. */
const checkComplete = (state: State): Effect.Effect<void, TinkerError.TinkerError> => {
  const { method, received, total } = state
  if (total === undefined || received === total) return Effect.void
  return received < total
    ? transportError(state, "Connection")
    : new TinkerError.DecodeError({ method, reason: `received ${received} bytes where ${total} were announced` })
}

/** One attempt: `true` when the file is complete, `false` when it has to start over because the file has changed. */
const attempt = (state: State): Effect.Effect<boolean, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    if (DateTime.toEpochMillis(state.signed.expires) <= (yield* Clock.currentTimeMillis)) {
      state.signed = yield* state.url
    }
    const response = yield* requestRest(state)
    const { offset, total } = readRange(response, state.received)
    if (offset > 0 && state.total !== undefined && total !== undefined && total !== state.total) {
      yield* restart(state)
      return false
    }
    if (offset === 0 && state.received > 0) yield* restart(state)
    state.total = total
    state.etag = strongEtag(response)
    if (total !== undefined && total > state.maxSize) return yield* tooLarge(state)
    yield* state.onProgress(state.received, total)
    yield* writeBody(state, response)
    yield* checkComplete(state)
    return true
  }).pipe(
    Effect.scoped,
    Effect.catchIf(
      (error) => error._tag === "BadRequest" && error.status === 416,
      // the range starts at the end of the file: it is complete, or it has changed
      () =>
        state.received > 0 && state.received === state.total ? Effect.succeed(true) : Effect.as(restart(state), false)
    )
  )

/** Repeats attempts until the file is complete. */
const transfer = (state: State): Effect.Effect<void, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    let failures = 0
    while (true) {
      const before = state.received
      const result = yield* Effect.either(attempt(state))
      if (result._tag === "Right" && result.right) return
      if (state.received > before) failures = 0
      failures++
      if (result._tag === "Left") {
        yield* pauseBeforeRetry(state, result.left, failures)
      } else if (failures >= maxFailures) {
        return yield* new TinkerError.DecodeError({
          method: state.method,
          reason: "the file kept changing while it was downloaded"
        })
      }
    }
  })

/** Pauses before the next attempt, with a new URL if the last one may have expired; fails if retries cannot help. */
const pauseBeforeRetry = (
  state: State,
  error: TinkerError.TinkerError,
  failures: number
): Effect.Effect<void, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    const renew = mayBeExpired(error) && failures <= maxRenewals
    if ((!error.isRetryable && !renew) || failures >= maxFailures) return yield* error
    if (renew) state.signed = yield* state.url
    const { cap, first } = state.policy
    const delay = yield* jittered(Duration.toMillis(first), Duration.toMillis(cap), failures - 1)
    yield* Effect.sleep(error.retryAfter ?? delay)
  })

/** Downloads to a file, and returns its size. @internal */
export const downloadTo = (
  options: Transfer
): Effect.Effect<number, TinkerError.TinkerError, FileSystem.FileSystem | HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const toFileError = fileError(options.method, options.file)
    const state: State = {
      ...options,
      http: yield* HttpClient.HttpClient,
      policy: yield* RetryPolicy.CurrentRetryPolicy,
      out: yield* Effect.mapError(fs.open(options.file, { flag: "w" }), toFileError),
      signed: yield* options.url,
      received: 0,
      total: undefined,
      etag: undefined
    }
    yield* transfer(state)
    yield* Effect.mapError(state.out.sync, toFileError)
    return state.received
  }).pipe(Effect.scoped)
