import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Training from "@effect-tinker/api/Training"
import type { PassOptions } from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as TestClock from "effect/TestClock"
import * as client from "../../utils/client.ts"

const { createModel, createSession, forwardBackward, ok, optimStep, post, result, run } = client

// runs the fibers of the service without moving the clock
const settle = TestClock.adjust(0)

describe("the queue of a model", () => {
  it.scoped("runs operations by seq_id, whatever the order in which they arrive", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const requests: Array<string> = []
        for (const seq of [3, 2, 5]) {
          requests.push((yield* ok(forwardBackward(model, seq, [client.datum([seq, 9])]))).request_id)
        }
        requests.push((yield* ok(optimStep(model, 4))).request_id)
        yield* settle
        assert.deepStrictEqual(client.names(yield* engine.operations), ["createModel"])
        requests.push((yield* ok(forwardBackward(model, 1, [client.datum([1, 9])]))).request_id)
        for (const id of requests) assert.notProperty(yield* result(id), "error")
        assert.deepStrictEqual(
          requests.sort(),
          [1, 2, 3, 4, 5].map((seq) => `${model}:${seq}`)
        )
      }).pipe(Effect.provide(layer))
      const operations = (yield* engine.operations).slice(1)
      const firstTokens = operations.map(({ input, name }) =>
        name === "optimStep" ? undefined : ModelInput.toTokens((input as PassOptions).data[0]!.model_input)[0]
      )
      assert.deepStrictEqual(firstTokens, [1, 2, 3, undefined, 5])
    })
  )

  it.scoped("keeps the order of many operations that arrive at once, shuffled, and twice each", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      const count = 60
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const numbers = Array.from({ length: count }, (_, i) => i + 1)
        const order = yield* Random.shuffle([...numbers, ...numbers])
        const send = (seq: number) =>
          seq % 3 === 0 ? optimStep(model, seq, seq) : forwardBackward(model, seq, [client.datum([seq, 0])])
        yield* Effect.forEach(order, (seq) => ok(send(seq)), { concurrency: "unbounded" })
        yield* result(`${model}:${count}`)
      }).pipe(Effect.provide(layer), Effect.withRandom(Random.make("disorder")))
      const applied = (yield* engine.operations)
        .slice(1)
        .map(({ input, name }) =>
          name === "optimStep"
            ? (input as Training.AdamParams).learning_rate
            : ModelInput.toTokens((input as PassOptions).data[0]!.model_input)[0]
        )
      assert.deepStrictEqual(
        applied,
        Array.from({ length: count }, (_, i) => i + 1)
      )
    })
  )

  it.scoped("does not wait for a seq_id that a later request names as rejected, and rejects what arrives late with it", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const named = (seq_id: number, header: string) =>
          post("/optim_step", { model_id: model, seq_id, adam_params: {} }, { "x-tinker-refused-seq-ids": header })
        // its own number and later ones, and what is no number, are ignored
        const accepted = yield* ok(named(3, "1, 2,3,4,-5,x,99999999999"))
        assert.notProperty(yield* result(accepted.request_id), "error")
        assert.strictEqual((yield* forwardBackward(model, 2, [client.datum([1, 9])])).status, 409)
        yield* ok(named(4, "3,1"))
        assert.notProperty(yield* result(`${model}:4`), "error")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("assigns the next seq_id to a request without one", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        assert.strictEqual((yield* ok(forwardBackward(model))).request_id, `${model}:1`)
        assert.strictEqual((yield* ok(optimStep(model, 2))).request_id, `${model}:2`)
        assert.strictEqual((yield* ok(forwardBackward(model))).request_id, `${model}:3`)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("deduplicates a repeated request, and rejects another request under its seq_id with 409", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const model = yield* createModel(session)
        assert.strictEqual(yield* createModel(session), model)
        const again = yield* post("/create_model", {
          session_id: session,
          model_seq_id: 0,
          base_model: "effect-tinker/test"
        })
        assert.strictEqual(again.status, 409)
        const first = yield* ok(forwardBackward(model, 1))
        yield* result(first.request_id)
        assert.deepStrictEqual(yield* ok(forwardBackward(model, 1)), first)
        assert.strictEqual((yield* forwardBackward(model, 1, [client.datum([1, 2, 4])])).status, 409)
        assert.strictEqual((yield* optimStep(model, 1)).status, 409)
        yield* run("/optim_step", { adam_params: {}, model_id: model, seq_id: 2 })
        const twice = [forwardBackward(model, 3), forwardBackward(model, 3)]
        const [a, b] = yield* Effect.all(twice, { concurrency: "unbounded" })
        assert.deepStrictEqual(a!.body, b!.body)
        yield* result(a!.body.request_id)
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(client.names(yield* engine.operations), [
        "createModel",
        "forwardBackward",
        "optimStep",
        "forwardBackward"
      ])
    })
  )

  it.scoped("fails the operations behind a gap after a minute, names the missing seq_id, and continues", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const third = yield* ok(forwardBackward(model, 3))
        yield* TestClock.adjust("30 seconds")
        const fifth = yield* ok(optimStep(model, 5))
        yield* TestClock.adjust("29 seconds")
        const waiting = yield* Effect.fork(result(third.request_id))
        yield* TestClock.adjust("1 seconds")
        const failed = yield* Fiber.join(waiting)
        assert.strictEqual(failed.category, "user")
        assert.match(failed.error, /seq_id 1 did not arrive within 60 s/)
        assert.match((yield* result(fifth.request_id)).error, /seq_id 1/)
        // one comes too late, one is repeated, and the next is admitted
        assert.strictEqual((yield* forwardBackward(model, 1)).status, 409)
        assert.deepStrictEqual(yield* ok(forwardBackward(model, 3)), third)
        yield* result((yield* ok(forwardBackward(model, 6))).request_id)
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(client.names(yield* engine.operations), ["createModel", "forwardBackward"])
    })
  )

  it.scoped("restarts the timeout of a gap whenever the queue progresses", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start({ gapTimeout: "10 seconds" })
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        yield* ok(forwardBackward(model, 2))
        yield* ok(forwardBackward(model, 4))
        yield* TestClock.adjust("9 seconds")
        yield* ok(forwardBackward(model, 1))
        yield* TestClock.adjust("9 seconds")
        const third = yield* ok(forwardBackward(model, 3))
        assert.property(yield* result(third.request_id), "metrics")
        assert.property(yield* result(`${model}:4`), "metrics")
      }).pipe(Effect.provide(layer))
      assert.strictEqual((yield* engine.operations).length, 5)
    })
  )

  it.scoped("uses up the seq_id of a request that it rejects", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const last = yield* ok(forwardBackward(model, 5))
        // rejected for empty data, for a value out of range, for a bad name, and for the wrong JSON type
        assert.strictEqual((yield* forwardBackward(model, 1, [])).status, 400)
        assert.strictEqual(
          (yield* post("/optim_step", { adam_params: { beta1: 2 }, model_id: model, seq_id: 2 })).status,
          422
        )
        assert.strictEqual((yield* post("/save_weights", { path: "../x", model_id: model, seq_id: 3 })).status, 400)
        const broken = yield* post("/forward_backward", { model_id: model, seq_id: 4, forward_backward_input: [] })
        assert.strictEqual(broken.status, 422)
        assert.property(yield* result(last.request_id), "metrics")
        // the same request gets the same response
        assert.strictEqual((yield* forwardBackward(model, 1, [])).status, 400)
        assert.strictEqual((yield* forwardBackward(model, 1)).status, 409)
        for (const seq of [0, -1, 2 ** 31]) assert.strictEqual((yield* forwardBackward(model, seq)).status, 400)
        assert.strictEqual((yield* ok(forwardBackward(model))).request_id, `${model}:6`)
      }).pipe(Effect.provide(layer))
      assert.strictEqual(client.names(yield* engine.operations)[1], "forwardBackward")
    })
  )
})
