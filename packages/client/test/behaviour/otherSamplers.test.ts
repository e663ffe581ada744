import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bodyOf } from "../utils/exits.ts"
import { bodies, connect, json, scripted } from "../utils/services.ts"

const sample = { sequences: [{ stop_reason: "stop", tokens: [7] }] }
const prompt = ModelInput.fromTokens([1, 2, 3])

const sampling = (
  overrides: Parameters<typeof scripted.make>[0],
  program: (service: ServiceClient.Service) => Effect.Effect<unknown, unknown>
) =>
  Effect.gen(function* () {
    const http = yield* scripted.make({
      "/create_sampling_session": json({ sampling_session_id: "sampling-1" }),
      ...overrides
    })
    yield* Effect.flatMap(ServiceClient.ServiceClient, program).pipe(Effect.provide(connect(http)))
    return http
  })

const paramsOf = (http: ScriptedHttpClient.ScriptedHttpClient) =>
  Effect.map(bodies(http, "/asample"), (all) =>
    all.map(({ sampling_params }) => sampling_params as Record<string, unknown>)
  )

describe("the parameters of a sample", () => {
  it.scoped("have stop as a list, and max_tokens always", () =>
    Effect.gen(function* () {
      const http = yield* sampling({}, (service) =>
        Effect.gen(function* () {
          const client = yield* service.createSamplingClient({ base_model: "base" })
          for (const stop of ["\n", ["a", "b"], [5], [], undefined]) {
            yield* client.sample(prompt, {
              sampling_params: { max_tokens: 4, ...(stop === undefined ? {} : { stop }) }
            })
          }
          yield* client.sample(prompt, { sampling_params: { max_tokens: null } })
          yield* client.sample(prompt)
        })
      )
      const params = yield* paramsOf(http)
      assert.deepStrictEqual(
        params.map(({ stop }) => stop),
        [["\n"], ["a", "b"], [5], [], undefined, undefined, undefined]
      )
      // the context has 64 tokens, and the prompt 3
      assert.deepStrictEqual(
        params.map(({ max_tokens }) => max_tokens),
        [4, 4, 4, 4, 4, 61, 61]
      )
      assert.strictEqual((yield* http.requestsTo("/get_server_capabilities")).length, 1)
    })
  )

  it.scoped("have a bound where the service does not report the length of the context", () =>
    Effect.gen(function* () {
      const http = yield* sampling(
        { "/samplers/sampling-1": json({ detail: "Not Found" }, { status: 404 }) },
        (service) =>
          Effect.flatMap(service.createSamplingClient({ model_path: "tinker://m/a" }), (client) =>
            client.sample(prompt)
          )
      )
      assert.deepStrictEqual(
        (yield* paramsOf(http)).map(({ max_tokens }) => max_tokens),
        [512]
      )
    })
  )
})

describe("a sampling session", () => {
  it.scoped("may be created in the background, and of the kind checkpoints", () =>
    Effect.gen(function* () {
      const http = yield* sampling(
        {
          "/create_sampling_session": json({ request_id: "r", model_id: "m", status: "pending" }),
          "/retrieve_future": (request) =>
            bodyOf(request)["request_id"] === "r"
              ? json({ type: "create_sampling_session", sampling_session_id: "sampling-9", expires_at: null })
              : json(sample)
        },
        (service) =>
          Effect.flatMap(service.createSamplingClient({ model_path: "tinker://m/checkpoints/a" }), (client) =>
            client.sample(prompt, { sampling_params: { max_tokens: 1 } })
          )
      )
      const [first] = yield* bodies(http, "/asample")
      assert.strictEqual(first!["sampling_session_id"], "sampling-9")
      const [created] = yield* bodies(http, "/create_sampling_session")
      assert.strictEqual(created!["model_path"], "tinker://m/checkpoints/a")
    })
  )

  it.scoped("without an id fails with the field that is missing", () =>
    Effect.gen(function* () {
      yield* sampling({ "/create_sampling_session": json({}) }, (service) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(service.createSamplingClient({ base_model: "base" }))
          assert.include(error.message, "sampling_session_id: is missing")
        })
      )
    })
  )
})
