import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as client from "../utils/client.ts"

const { createModel, createSession, forwardBackward, ok, optimStep, poll, post, result, sampleRequest } = client

describe("back-pressure", () => {
  it.scoped("rejects operations above the limit with 429 and Retry-After, and uses up no seq_id", () =>
    Effect.gen(function* () {
      const { engine, layer, open } = yield* client.startGated("forwardBackward", { maxPending: 4 })
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const model = yield* createModel(session)
        const other = yield* createModel(yield* createSession)
        const ids: Array<string> = []
        for (let seq = 1; seq <= 4; seq++) ids.push((yield* ok(forwardBackward(model, seq))).request_id)
        const rejected = yield* optimStep(model, 5)
        assert.strictEqual(rejected.status, 429)
        assert.strictEqual(rejected.headers["retry-after"], "1")
        assert.match(rejected.body.detail, /4 operations wait or run/)
        assert.strictEqual(
          (yield* ok(forwardBackward(model, 2))).request_id,
          ids[1],
          "a repeated request is no new operation"
        )
        assert.strictEqual((yield* optimStep(other, 1)).status, 200, "another session is not limited")
        yield* open
        yield* Effect.forEach(ids, result)
        const { request_id } = yield* ok(optimStep(model, 5))
        assert.property(yield* result(request_id), "metrics")
        const names = (yield* engine.operations).map(({ name }) => name)
        assert.deepStrictEqual(
          names.filter((name) => name === "forwardBackward"),
          Array.from({ length: 4 }, () => "forwardBackward")
        )
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("always admits an operation that others wait for, and names it in the responses to their polls", () =>
    Effect.gen(function* () {
      const { layer, open } = yield* client.startGated("none", { maxPending: 3 })
      yield* open
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const ids: Array<string> = []
        for (const seq of [2, 3, 4]) ids.push((yield* ok(forwardBackward(model, seq))).request_id)
        assert.strictEqual((yield* forwardBackward(model, 5)).status, 429)
        const waiting = yield* Effect.fork(poll(ids[0]!))
        yield* TestClock.adjust("20 seconds")
        assert.deepStrictEqual((yield* Fiber.join(waiting)).body, {
          type: "try_again",
          request_id: ids[0],
          queue_state: "active",
          queue_state_reason: "waiting for seq_id 1, which has not arrived"
        })
        assert.strictEqual((yield* forwardBackward(model, 1)).status, 200)
        for (const id of ids) assert.property(yield* result(id), "metrics")
        assert.strictEqual((yield* forwardBackward(model, 5)).status, 200)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("limits samples, and reports which of them wait for a permit", () =>
    Effect.gen(function* () {
      const { layer, open } = yield* client.startGated("sample", { maxPending: 3, concurrency: 2 })
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const { sampling_session_id } = yield* ok(
          post("/create_sampling_session", {
            session_id,
            sampling_session_seq_id: 0,
            base_model: "effect-tinker/test"
          })
        )
        const sample = (seq: number) => post("/asample", sampleRequest(sampling_session_id, seq))
        const ids: Array<string> = []
        for (const seq of [0, 1, 2]) ids.push((yield* ok(sample(seq))).request_id)
        const rejected = yield* sample(3)
        assert.strictEqual(rejected.status, 429)
        assert.strictEqual(rejected.headers["retry-after"], "1")
        const polls = yield* Effect.fork(Effect.forEach(ids, (id) => poll(id), { concurrency: 3 }))
        yield* TestClock.adjust("20 seconds")
        assert.deepStrictEqual(
          (yield* Fiber.join(polls)).map(({ body }) => body.queue_state),
          ["active", "active", "paused_capacity"]
        )
        yield* open
        for (const id of ids) assert.property(yield* result(id), "sequences")
        assert.strictEqual((yield* sample(3)).status, 200)
      }).pipe(Effect.provide(layer))
    })
  )
})
