import * as RestClient from "@effect-tinker/client/RestClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import type * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Who waits at a terminal wants to know of a lost connection sooner than a training program does. */
const policy: Partial<RetryPolicy.RetryPolicy> = { total: "10 seconds" }

/** Gives an effect the service that the environment names, without a session. @internal */
export const withRest = <A, E, R>(
  self: Effect.Effect<A, E, R | RestClient.RestClient | HttpClient.HttpClient>,
  options?: TinkerConfig.Options
) =>
  RetryPolicy.withRetryPolicy(
    Effect.provide(self, Layer.provideMerge(RestClient.layerConfig(options), FetchHttpClient.layer)),
    policy
  )
