/** The REST client of the commands that need no session. */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import type * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as embedded from "./embedded.ts"

/** At a terminal a lost connection is reported sooner than in a training program. */
const policy: Partial<RetryPolicy.RetryPolicy> = { total: "10 seconds" }

/**
 * Provides the REST client of the service that the environment names, or else of the embedded one over the checkpoints of
 * this directory.
 * @internal
 */
export const withRestOrLocal = <A, E, R>(
  self: Effect.Effect<A, E, R | RestClient.RestClient | HttpClient.HttpClient>,
  checkpoints: string
) =>
  Effect.scoped(
    Effect.gen(function* () {
      if (!(yield* embedded.isOnlyService)) return yield* withRest(self)
      const { url } = yield* embedded.start({ models: [], checkpoints, keys: [] })
      return yield* withRest(self, { apiKey: Redacted.make(embedded.anyKey), baseUrl: url })
    })
  )

/** Provides the REST client of the service that the environment names. @internal */
export const withRest = <A, E, R>(
  self: Effect.Effect<A, E, R | RestClient.RestClient | HttpClient.HttpClient>,
  options?: TinkerConfig.Options
) =>
  RetryPolicy.withRetryPolicy(
    Effect.provide(self, Layer.provideMerge(RestClient.layerConfig(options), NodeHttpClient.layer)),
    policy
  )
