import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as client from "./utils/client.ts"

const { createModel, createSession, forwardBackward, ok, post, result, run } = client

describe("the service", () => {
  it.scoped("admits operations before the model is created", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { layer } = yield* client.start(
        {},
        {
          before: ({ name }) => (name === "createModel" ? Deferred.await(gate) : Effect.void)
        }
      )
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const body = { session_id, model_seq_id: 0, base_model: "effect-tinker/test" }
        const created = yield* ok(post("/create_model", body))
        assert.deepStrictEqual(created, { request_id: `${session_id}:train:0:0`, model_id: `${session_id}:train:0` })
        const pass = yield* ok(forwardBackward(created.model_id, 1))
        yield* Deferred.succeed(gate, undefined)
        assert.property(yield* result(pass.request_id), "metrics")
        assert.deepStrictEqual(yield* result(created.request_id), { model_id: created.model_id, type: "create_model" })
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("runs models concurrently, and never mixes their state", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { layer } = yield* client.start(
        {},
        {
          before: ({ name, target }) =>
            target === 0 && name === "forwardBackward" ? Deferred.await(gate) : Effect.void
        }
      )
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const slow = yield* createModel(session, 0)
        const quick = yield* createModel(session, 1)
        const held = yield* ok(forwardBackward(slow, 1))
        const before = yield* run("/forward", { forward_input: client.input(client.datum([1, 2, 3])), model_id: quick })
        yield* run("/optim_step", { adam_params: { weight_decay: 0.5, learning_rate: 0.1 }, model_id: quick })
        const after = yield* run("/forward", { forward_input: client.input(client.datum([1, 2, 3])), model_id: quick })
        yield* Deferred.succeed(gate, undefined)
        const other = yield* result(held.request_id)
        // without the gradient of the other model, the step changes nothing, and zero weights do not decay
        assert.deepStrictEqual(after, before)
        assert.deepStrictEqual(other, before)
      }).pipe(Effect.provide(layer))
    })
  )
})
