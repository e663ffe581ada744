/** Checks of the settings and of the service: key, URL, reachability, clock, heartbeat. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerClient from "@effect-tinker/client/TinkerClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as settings from "../util/settings.ts"
import { version } from "../util/version.ts"
import { failed, ok, type Reporter, timed } from "./check.ts"

const clockTolerance = 60_000
const slowHeartbeat = 5000

/** Checks the key and the URL. Succeeds with the configuration if both can be used. @internal */
export const checkConfig = Effect.fnUntraced(function* (reporter: Reporter) {
  const url = Option.getOrElse(yield* settings.optional("TINKER_BASE_URL"), () => TinkerConfig.defaultBaseUrl)
  const config = yield* Effect.either(TinkerConfig.fromConfig())
  if (Either.isLeft(config)) {
    yield* config.left.path === "baseUrl"
      ? failed(reporter, "url", config.left, "set TINKER_BASE_URL, or unset it for the hosted service")
      : failed(
          reporter,
          "key",
          config.left,
          "set TINKER_API_KEY; without a key, 'tinker train' and 'tinker sample' use the embedded service"
        )
    return Option.none<TinkerConfig.Service>()
  }
  const isHosted = config.right.baseUrl === TinkerConfig.defaultBaseUrl
  yield* ok(reporter, "key", "set, in a valid format")
  yield* ok(reporter, "url", `${url} (${isHosted ? "the hosted service" : "another service"})`)
  return Option.some(config.right)
})

/** Checks that the service responds. Succeeds with the `Date` header of the response, if it responds. @internal */
export const checkReachability = Effect.fnUntraced(function* (reporter: Reporter, client: TinkerClient.Service) {
  const health = yield* Effect.either(timed(client.request(TinkerApi.healthz, undefined as never)))
  if (Either.isLeft(health)) {
    yield* failed(
      reporter,
      "reachability",
      health.left,
      health.left._tag === "Unauthorized"
        ? "the service rejects this key: make a new one"
        : "check TINKER_BASE_URL, the network, and any proxy"
    )
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
