/** A service whose users have API keys. */
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as client from "./client.ts"

/** The keys of three users. */
export const keys = ["tml-ada", "tml-bob", "tml-carol"] as const

/** Starts a service for the users of `keys`; the result runs an effect with the key of one. */
export const start = (options: TestServer.Options = {}) =>
  Effect.map(
    TestServer.make({ ...options, apiKeys: keys.map((key) => Redacted.make(key)) }),
    ({ client: http }) =>
      (key: string) =>
      <A, E>(effect: Effect.Effect<A, E, HttpClient.HttpClient>): Effect.Effect<A, E> =>
        Effect.provideService(
          effect,
          HttpClient.HttpClient,
          HttpClient.mapRequest(http, HttpClientRequest.setHeader("x-api-key", key))
        )
  )

/** A model with checkpoints, a sampler and a result, all of the current user. */
export const createAll = Effect.gen(function* () {
  const session_id = yield* client.createSession
  const model_id = yield* client.createModel(session_id)
  const { path } = yield* client.run("/save_weights", { model_id, path: "a" })
  const sampler = yield* client.run("/save_weights_for_sampler", { model_id, path: "s" })
  const { sampling_session_id } = yield* client.run("/save_weights_for_sampler", { model_id })
  const { request_id } = yield* client.ok(client.forwardBackward(model_id))
  yield* client.result(request_id)
  return { session_id, model_id, path, sampler: sampler.path, sampling_session_id, request_id }
})
