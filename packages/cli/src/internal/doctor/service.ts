/** Checks of the settings and of the service: key, URL, reachability, clock, heartbeat. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import type * as TinkerClient from "@effect-tinker/client/TinkerClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as embedded from "../service/embedded.ts"
import * as settings from "../util/settings.ts"
import { version } from "../util/version.ts"
import { shownUrl } from "./report.ts"
import { failed, ok, type Reporter, timed } from "./check.ts"

const clockTolerance = 60_000
const slowHeartbeat = 5000

/** The service to check. @internal */
export interface Target {
  readonly config: TinkerConfig.Service
  /** it runs on this computer, and charges nothing */
  readonly isLocal: boolean
}

const isLoopback = (url: string): boolean => /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(new URL(url).hostname)

/** Says what the engine computes on; training in WebAssembly is several times slower. */
const checkEngine = Effect.fnUntraced(function* (reporter: Reporter) {
  const chosen = yield* Effect.either(embedded.chooseExecutor)
  if (Either.isLeft(chosen)) return yield* failed(reporter, "engine", chosen.left, undefined)
  const { executor, reason } = chosen.right
  yield* executor === "native"
    ? ok(reporter, "engine", "computes on ONNX Runtime")
    : reporter.report({
        name: "engine",
        status: "warning",
        detail: "computes in WebAssembly, several times slower than on ONNX Runtime",
        advice: reason
      })
})

/** Starts the embedded service, which commands use where the environment names no other. */
const startEmbedded = Effect.fnUntraced(function* (reporter: Reporter, checkpoints: string) {
  const started = yield* Effect.either(embedded.start({ models: [], checkpoints, keys: [] }))
  if (Either.isLeft(started)) {
    yield* failed(reporter, "url", started.left, "set TINKER_API_KEY to use another service")
    return Option.none<Target>()
  }
  const { url: baseUrl } = started.right
  yield* ok(reporter, "key", "none: this checks the embedded service (set TINKER_API_KEY for another)")
  yield* ok(reporter, "url", `${baseUrl} (the embedded service over ${checkpoints})`)
  yield* checkEngine(reporter)
  const config = yield* TinkerConfig.make({ apiKey: Redacted.make(embedded.anyKey), baseUrl })
  return Option.some<Target>({ config, isLocal: true })
})

/** Checks the key and the URL. Succeeds with the service if both can be used. @internal */
export const checkConfig = Effect.fnUntraced(function* (reporter: Reporter, checkpoints: string) {
  if (yield* embedded.isOnlyService) return yield* startEmbedded(reporter, checkpoints)
  const url = Option.getOrElse(yield* settings.optional("TINKER_BASE_URL"), () => TinkerConfig.defaultBaseUrl)
  const config = yield* Effect.either(TinkerConfig.fromConfig())
  if (Either.isLeft(config)) {
    yield* config.left.path === "baseUrl"
      ? failed(reporter, "url", config.left, "set TINKER_BASE_URL, or unset it for the hosted service")
      : failed(
          reporter,
          "key",
          config.left,
          "set TINKER_API_KEY; without any setting, commands use the embedded service"
        )
    return Option.none<Target>()
  }
  const isHosted = config.right.baseUrl === TinkerConfig.defaultBaseUrl
  yield* ok(reporter, "key", "set, in a valid format")
  yield* ok(reporter, "url", `${shownUrl(url)} (${isHosted ? "the hosted service" : "another service"})`)
  return Option.some<Target>({ config: config.right, isLocal: isLoopback(config.right.baseUrl) })
})

const reachabilityAdvice = (error: TinkerError.TinkerError): string | undefined => {
  if (error._tag === "Unauthorized") return "the service rejects this key: make a new one"
  // the error itself says what to do
  if (error._tag === "TransportError" && (error.reason === "Certificate" || error.reason === "Proxy")) return undefined
  return "check TINKER_BASE_URL, and that the service runs"
}

/**
 * Of the requests that come before the check's own, such as that for the client's configuration: a service that is not
 * there shall not take long.
 */
const reachabilityPolicy = { first: "300 millis", total: "1 second", timeout: "5 seconds" } as const

/** Checks that the service responds. Succeeds with the `Date` header of the response, if it responds. @internal */
export const checkReachability = Effect.fnUntraced(function* (reporter: Reporter, client: TinkerClient.Service) {
  const health = yield* Effect.either(
    timed(client.request(TinkerApi.healthz, undefined as never, { policy: RetryPolicy.never }))
  ).pipe(RetryPolicy.withRetryPolicy(reachabilityPolicy))
  if (Either.isLeft(health)) {
    yield* failed(reporter, "reachability", health.left, reachabilityAdvice(health.left))
    return Option.none<string>()
  }
  const [roundTrip, response] = health.right
  yield* ok(reporter, "reachability", `the service responds in ${roundTrip} ms`)
  return Option.some(response.headers["date"] ?? "")
})

/** Compares the clock with the `Date` header of a response. @internal */
export const checkClock = Effect.fnUntraced(function* (reporter: Reporter, date: string) {
  const skew = (yield* Clock.currentTimeMillis) - Date.parse(date)
  if (Number.isNaN(skew)) {
    return yield* reporter.report({ name: "clock", status: "skipped", detail: "the service sends no Date header" })
  }
  if (Math.abs(skew) <= clockTolerance) return yield* ok(reporter, "clock", "agrees with the service's")
  yield* reporter.report({
    name: "clock",
    status: "failed",
    detail: `this machine is ${Math.round(Math.abs(skew) / 1000)} s ${skew > 0 ? "ahead" : "behind"}`,
    advice: "set the clock: the expiry of tokens and signed URLs depends on it"
  })
})

/** Creates a session, and sends one heartbeat for it. @internal */
export const checkHeartbeat = Effect.fnUntraced(function* (reporter: Reporter, client: TinkerClient.Service) {
  const session = yield* Effect.either(
    client.call(TinkerApi.createSession, {
      tags: ["tinker doctor"],
      user_metadata: {},
      sdk_version: version,
      type: "create_session"
    })
  )
  if (Either.isLeft(session)) {
    const advice = "the service creates no session: check the permissions of the key"
    return yield* failed(reporter, "heartbeat", session.left, advice)
  }
  const beat = yield* Effect.either(
    timed(client.call(TinkerApi.sessionHeartbeat, { session_id: session.right.session_id, type: "session_heartbeat" }))
  )
  if (Either.isLeft(beat)) {
    const advice = "sessions would be lost: try again, and report the request id if it persists"
    return yield* failed(reporter, "heartbeat", beat.left, advice)
  }
  const [millis] = beat.right
  yield* reporter.report({
    name: "heartbeat",
    status: millis > slowHeartbeat ? "warning" : "ok",
    detail: `response in ${millis} ms`,
    advice: millis > slowHeartbeat ? "sessions need one every 10 s: check for a slow network or proxy" : undefined
  })
})
