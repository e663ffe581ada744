import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scheduler from "effect/Scheduler"
import * as TestEngine from "../src/TestEngine.ts"
import * as TestServer from "../src/TestServer.ts"

const program = Effect.gen(function* () {
  const api = yield* HttpApiClient.make(TinkerApi.TinkerApi, { baseUrl: "http://any.test" })
  const { session_id } = yield* api.service.createSession({
    payload: { tags: [], user_metadata: {}, sdk_version: "test", type: "create_session" }
  })
  const { request_id } = yield* api.models.createModel({
    payload: { session_id, model_seq_id: 0, base_model: TestEngine.baseModel, type: "create_model" }
  })
  return yield* api.futures.retrieveFuture({ payload: { request_id, allow_metadata_only: false } })
})

describe("TestServer", () => {
  it.scoped("runs the real service over an engine that records its operations", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const created = yield* Effect.provide(program, server.layer)
      assert.propertyVal(created, "type", "create_model")
      assert.deepStrictEqual(
        (yield* server.engine.operations).map(({ name }) => name),
        ["createModel"]
      )
    })
  )

  it.effect("provides a layer that ends with its scope", () =>
    Effect.map(Effect.provide(program, TestServer.layer()), (created) => assert.property(created, "model_id"))
  )

  // what a sample costs on any machine: `npm run bench -- inProcess` says what it costs on this one
  it.scoped("takes few fibers and operations of Effect for a sample", () =>
    Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const sampling = yield* service.createSamplingClient({ base_model: TestEngine.baseModel })
      const sample = sampling.sample(ModelInput.fromTokens([72, 101]), { sampling_params: { max_tokens: 64, seed: 1 } })
      yield* sample
      const fibers = new Set<unknown>()
      let operations = 0
      const counting = new Scheduler.MixedScheduler(2048)
      const count = Scheduler.make(
        (task, priority) => counting.scheduleTask(task, priority),
        (fiber) => {
          fibers.add(fiber)
          operations++
          return counting.shouldYield(fiber)
        }
      )
      yield* Effect.withScheduler(sample, count)
      assert.isAtMost(fibers.size, 6)
      assert.isAtMost(operations, 1000)
    }).pipe(
      Effect.provide(
        Layer.provide(
          ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://any.test" }),
          TestServer.layer()
        )
      )
    )
  )
})
