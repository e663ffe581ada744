import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
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
})
