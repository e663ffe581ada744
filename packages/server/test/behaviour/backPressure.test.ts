import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as client from "../utils/client.ts"
import * as users from "../utils/users.ts"

const modelRequest = (session_id: string) => ({
  session_id,
  model_seq_id: 0,
  base_model: "effect-tinker/test",
  lora_config: { rank: 8 }
})

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
        assert.strictEqual((yield* optimStep(other, 2)).status, 429, "another session of the user is limited as well")
        const { sampling_params, ...sample } = sampleRequest("", 0)
        const unnamed = { ...sample, sampling_params, sampling_session_id: undefined, base_model: "effect-tinker/test" }
        assert.strictEqual((yield* post("/asample", unnamed)).status, 429, "and so are samples outside of sessions")
        assert.strictEqual((yield* post("/create_model", modelRequest(yield* createSession))).status, 429)
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

  it.scoped("limits the operations of one user, and never those of another", () =>
    Effect.gen(function* () {
      const as = yield* users.start({ maxPending: 2 })
      const ada = as("tml-ada")
      const bob = as("tml-bob")
      const model = yield* ada(Effect.flatMap(createSession, (session) => createModel(session)))
      const other = yield* bob(Effect.flatMap(createSession, (session) => createModel(session)))
      // they wait for 1
      for (const seq of [2, 3]) yield* ada(ok(forwardBackward(model, seq)))
      const second = ada(Effect.flatMap(createSession, (session) => post("/create_model", modelRequest(session))))
      assert.strictEqual((yield* second).status, 429)
      for (const seq of [2, 3]) yield* bob(ok(forwardBackward(other, seq)))
      assert.strictEqual((yield* ada(forwardBackward(model, 1))).status, 200)
    })
  )

  it.scoped("limits the memory that the requests of a user take while they wait", () =>
    Effect.gen(function* () {
      const { layer, open } = yield* client.startGated("forwardBackward", { maxPendingBytes: 30_000 })
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const model = yield* createModel(session)
        const other = yield* createModel(session, 1)
        const large = [client.datum(Array.from({ length: 900 }, (_, i) => i % 256))]
        const { request_id } = yield* ok(forwardBackward(model, 1, large))
        yield* ok(forwardBackward(model, 2, large))
        const rejected = yield* forwardBackward(other, 2, large)
        assert.strictEqual(rejected.status, 429)
        assert.match(rejected.body.detail, /would exceed the limit/)
        assert.strictEqual((yield* forwardBackward(other, 2)).status, 200, "there is room for a small one")
        yield* open
        yield* result(request_id)
        assert.strictEqual((yield* forwardBackward(other, 1, large)).status, 200)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("limits the memory that results take which nobody fetches", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ maxResultBytes: 10_000 })
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const ids: Array<string> = []
        let rejected: client.TestResponse | undefined
        for (let seq = 1; seq < 100 && rejected === undefined; seq++) {
          const response = yield* optimStep(model, seq)
          yield* TestClock.adjust(0)
          if (response.status === 200) ids.push(response.body.request_id)
          else rejected = response
        }
        assert.strictEqual(rejected?.status, 429)
        assert.match(rejected?.body.detail, /were not fetched/)
        assert.isAtMost(ids.length, 12)
        yield* Effect.forEach(ids, result)
        assert.strictEqual((yield* optimStep(model, ids.length + 1)).status, 200)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("counts what waits behind a missing seq_id, and refuses one that is far ahead", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ maxPending: 5 })
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const far = yield* forwardBackward(model, 2 ** 31 - 1)
        assert.strictEqual(far.status, 429)
        assert.strictEqual(far.headers["retry-after"], "1")
        assert.match(far.body.detail, /seq_id 2147483647 is more than 5 ahead of 1/)
        const malformed = { model_id: model, seq_id: 2 ** 31 - 1, forward_backward_input: [] }
        assert.strictEqual((yield* post("/forward_backward", malformed)).status, 422)
        const statuses: Array<number> = []
        for (let seq = 2; seq <= 20; seq++) statuses.push((yield* forwardBackward(model, seq)).status)
        assert.strictEqual(statuses.filter((status) => status === 200).length, 5)
        assert.strictEqual((yield* ok(forwardBackward(model, 1))).request_id, `${model}:1`)
        assert.property(yield* result(`${model}:6`), "metrics")
        assert.strictEqual((yield* ok(forwardBackward(model))).request_id, `${model}:7`)
      }).pipe(Effect.provide(layer))
    })
  )
})
