/** Downloads a signed URL to a file, resumes where a connection was lost, and verifies the result. */
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
import * as retryReport from "../telemetry/retryReport.ts"
import { jittered } from "../util/backoff.ts"
import { type Failure, failureOf, fieldsOf } from "../network/failure.ts"
import * as signedUrls from "../rest/signedUrls.ts"
import { type Checksum, checksumsOf, findMismatch } from "./checksums.ts"
import { fileError } from "./fileErrors.ts"
import { type FileVersion, isEncoded, isOtherVersion, readRange, validatorOf } from "./fileVersion.ts"

interface Transfer {
  readonly method: string
  readonly file: string
  /** the path that errors name */
  readonly shown: string
  /** requests a signed URL; called again when the last one has expired or is rejected */
  readonly url: Effect.Effect<{ readonly url: string; readonly expires: DateTime.Utc }, TinkerError.TinkerError>
  readonly maxSize: number
  /** the version of the bytes that an earlier run has written to the file */
  readonly earlier: FileVersion | undefined
  /** runs before the first byte of a version is written */
  readonly onVersion: (version: FileVersion) => Effect.Effect<void, TinkerError.TinkerError>
  readonly onProgress: (received: number, total: number | undefined) => Effect.Effect<void>
}

// failures in a row without a byte in between
const maxFailures = 8
const maxRenewals = 2
// downloads from the start of a file whose checksum was wrong
const maxDownloads = 2

interface State extends Transfer {
  readonly http: HttpClient.HttpClient
  readonly policy: RetryPolicy.RetryPolicy
  readonly report: retryReport.RetryReport
  readonly out: FileSystem.File
  signed: { readonly url: string; readonly expires: DateTime.Utc }
  received: number
  /** of the bytes that were received so far */
  version: FileVersion
  checksums: ReadonlyArray<Checksum>
  /** the next response is resumed from `received` if it breaks off */
  isResumable: boolean
}

const fail = ({ method, shown }: Transfer, reason: string) => new TinkerError.FileError({ method, path: shown, reason })

/** Whether a new signed URL may help. Some storage services report an expired signature as a bad request. */
const mayBeExpired = ({ _tag }: TinkerError.TinkerError): boolean =>
  _tag === "PermissionDenied" ||
  _tag === "NotFound" ||
  _tag === "FutureExpired" ||
  _tag === "Unauthorized" ||
  _tag === "BadRequest"

const transportError = ({ method, signed }: State, failure: Failure) =>
  new TinkerError.TransportError({ method, url: signedUrls.withoutSignature(signed.url), ...fieldsOf(failure) })

const timedOut = (state: State) => transportError(state, { reason: "Timeout" })

const tooLarge = (state: State) =>
  fail(state, `would be larger than ${state.maxSize} bytes: set a larger maxSize if that is right`)

/** Discards what was received. */
const restart = (state: State): Effect.Effect<void, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    yield* Effect.mapError(state.out.truncate(0), fileError(state.method, state.shown))
    yield* state.out.seek(0, "start")
    state.received = 0
  })

/** Requests the bytes that are missing. */
const requestRest = (
  state: State
): Effect.Effect<HttpClientResponse.HttpClientResponse, TinkerError.TinkerError, Scope.Scope> => {
  const { http, method, policy, received, signed, version } = state
  const request = HttpClientRequest.setHeaders(HttpClientRequest.get(signed.url), {
    // a compressed response could not be resumed
    "accept-encoding": "identity",
    ...(received > 0 ? { range: `bytes=${received}-` } : {}),
    ...(received > 0 && version.validator !== undefined ? { "if-range": version.validator } : {})
  })
  return Effect.timeoutFail(signedUrls.execute(http, method, request), {
    duration: policy.timeout,
    onTimeout: () => timedOut(state)
  })
}

/** Appends the body of a response to the file. */
const writeBody = (
  state: State,
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<void, TinkerError.TinkerError> =>
  response.stream.pipe(
    Stream.mapError((error) => transportError(state, failureOf(error.cause))),
    Stream.timeoutFail(() => timedOut(state), state.policy.timeout),
    Stream.runForEach((bytes) =>
      Effect.gen(function* () {
        if (state.received + bytes.length > state.maxSize) return yield* tooLarge(state)
        yield* Effect.mapError(state.out.writeAll(bytes), fileError(state.method, state.shown))
        state.received += bytes.length
        yield* state.onProgress(state.received, state.version.total)
      })
    )
  )

/** Fails unless as many bytes were received as were announced. */
const checkComplete = (state: State): Effect.Effect<void, TinkerError.TinkerError> => {
  const { received, version } = state
  if (version.total === undefined || received === version.total) return Effect.void
  return received < version.total
    ? transportError(state, { reason: "Connection" })
    : fail(state, `is not written: ${received} bytes arrived where ${version.total} were announced. Download it again`)
}

/** Appends the bytes of a response; `false` if they do not continue the bytes of the file. */
const takeResponse = (
  state: State,
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<boolean, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    const range = readRange(response, state.received)
    if (range === undefined || (range.offset > 0 && isOtherVersion(state.version, response, range.total))) {
      yield* restart(state)
      return false
    }
    const { offset, total } = range
    if (offset === 0 && state.received > 0) yield* restart(state)
    const validator = validatorOf(response) ?? (offset > 0 ? state.version.validator : undefined)
    const checksums = checksumsOf(response.headers, response.status === 206)
    state.checksums = offset > 0 ? [...state.checksums, ...checksums] : checksums
    state.version = { total: total ?? (offset > 0 ? state.version.total : undefined), validator }
    state.isResumable = !isEncoded(response)
    if (total !== undefined && total > state.maxSize) return yield* tooLarge(state)
    yield* state.onVersion(state.version)
    yield* state.onProgress(state.received, total)
    yield* writeBody(state, response)
    yield* checkComplete(state)
    return true
  })

/** One attempt: `true` when the file is complete, `false` when it has to start over because the file has changed. */
const attempt = (state: State): Effect.Effect<boolean, TinkerError.TinkerError> =>
  Effect.gen(function* () {
    if (DateTime.toEpochMillis(state.signed.expires) <= (yield* Clock.currentTimeMillis)) {
      state.signed = yield* state.url
    }
    if (!state.isResumable && state.received > 0) yield* restart(state)
    return yield* takeResponse(state, yield* requestRest(state))
  }).pipe(
    Effect.scoped,
    Effect.catchIf(
      (error) => error._tag === "BadRequest" && error.status === 416,
      // the range starts at the end of the file: it is complete, or it has changed
      () =>
        state.received > 0 && state.received === state.version.total
          ? Effect.succeed(true)
          : Effect.as(restart(state), false)
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
      if (state.received > before) {
        failures = 0
        yield* state.report.ended
      }
      failures++
      if (result._tag === "Left") {
        yield* pauseBeforeRetry(state, result.left, failures)
      } else if (failures >= maxFailures) {
        return yield* fail(state, "is not written: the file kept changing while it was downloaded. Try again later")
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
    else yield* state.report.onRetry(error)
    const { cap, first } = state.policy
    const delay = yield* jittered(Duration.toMillis(first), Duration.toMillis(cap), failures - 1)
    yield* Effect.sleep(error.retryAfter ?? delay)
  })

/** Opens the file, and keeps what an earlier run has written to it if the server can tell whether that is still right. */
const openFile = ({ earlier, file, method, shown }: Transfer) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const size = (yield* fs.exists(file)) ? Number((yield* fs.stat(file)).size) : 0
    const { total = 0, validator } = earlier ?? {}
    if (validator === undefined || size === 0 || size > total) {
      return { out: yield* fs.open(file, { flag: "w" }), received: 0 }
    }
    const out = yield* fs.open(file, { flag: "r+" })
    // of a complete file, the last byte is requested again, which asks whether it has changed
    const received = Math.min(size, total - 1)
    yield* out.truncate(received)
    yield* out.seek(received, "start")
    return { out, received }
  }).pipe(Effect.mapError(fileError(method, shown)))

/** Transfers the file, and once more from the start if its checksum is wrong. */
const transferVerified = (state: State): Effect.Effect<void, TinkerError.TinkerError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const toFileError = fileError(state.method, state.shown)
    for (let downloads = 1; ; downloads++) {
      yield* transfer(state)
      yield* Effect.mapError(state.out.sync, toFileError)
      const wrong = yield* Effect.mapError(findMismatch(state.file, state.checksums), toFileError)
      if (wrong === undefined) return
      if (downloads === maxDownloads) {
        return yield* fail(
          state,
          `is not written: its ${wrong.algorithm} is ${wrong.actual}, and the server announces ${wrong.value}. ` +
            `Download it again; if that does not help, save the checkpoint again`
        )
      }
      yield* restart(state)
    }
  })

/** Downloads to a file, and returns its size. @internal */
export const downloadTo = (
  options: Transfer
): Effect.Effect<number, TinkerError.TinkerError, FileSystem.FileSystem | HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const http = yield* HttpClient.HttpClient
    const policy = yield* RetryPolicy.CurrentRetryPolicy
    const { out, received } = yield* openFile(options)
    const state: State = {
      ...options,
      http,
      policy,
      report: retryReport.make(new Map()),
      out,
      received,
      signed: yield* options.url,
      version: options.earlier ?? { total: undefined, validator: undefined },
      checksums: [],
      isResumable: true
    }
    yield* transferVerified(state)
    return state.received
  }).pipe(Effect.scoped)
