import { EngineError } from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as client from "../../utils/client.ts"

const { createModel, createSession, forwardBackward, ok, optimStep, poll, result } = client

describe("a future", () => {
  it.scoped("holds a poll for 20 seconds, then responds with try_again", () =>
    Effect.gen(function* () {
      const { layer, open } = yield* client.startGated("forwardBackward")
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const { request_id } = yield* ok(forwardBackward(model, 1))
        const first = yield* Effect.fork(poll(request_id))
        const second = yield* Effect.fork(poll(request_id))
        yield* TestClock.adjust("19999 millis")
        assert.isTrue((yield* Fiber.poll(first))._tag === "None")
        yield* TestClock.adjust("1 millis")
        const expected = { type: "try_again", request_id, queue_state: "active" }
        assert.deepStrictEqual((yield* Fiber.join(first)).body, expected)
        assert.deepStrictEqual((yield* Fiber.join(second)).body, expected)
        // a result ends all polls at once, and stays
        const third = yield* Effect.fork(Effect.all([poll(request_id), poll(request_id)], { concurrency: 2 }))
        yield* TestClock.adjust("5 seconds")
        yield* open
        const [a, b] = yield* Fiber.join(third)
        assert.property(a.body, "metrics")
        assert.deepStrictEqual(a.body, b.body)
        assert.deepStrictEqual((yield* poll(request_id)).body, a.body)
        assert.strictEqual(a.headers["content-type"], "application/json")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("reports a failure as 200 with its category, and the queue continues", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start(
        {},
        {
          before: ({ index }) =>
            index === 1
              ? new EngineError({ reason: "out of memory", category: "server" })
              : index === 2
                ? Effect.die("bug")
                : index === 3
                  ? new EngineError({ reason: "bad data", category: "user" })
                  : Effect.void
        }
      )
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const first = yield* ok(forwardBackward(model, 1))
        const second = yield* ok(forwardBackward(model, 2))
        const third = yield* ok(forwardBackward(model, 3))
        const fourth = yield* ok(forwardBackward(model, 4))
        assert.deepStrictEqual(yield* result(first.request_id), { error: "out of memory", category: "server" })
        const died = yield* result(second.request_id)
        assert.strictEqual(died.category, "server")
        assert.notInclude(died.error, "bug")
        assert.strictEqual((yield* result(third.request_id)).category, "user")
        assert.property(yield* result(fourth.request_id), "metrics")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("announces the size of a large result to clients that allow it", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ inlineLimit: 200 })
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const { request_id } = yield* ok(
          forwardBackward(model, 1, [client.datum(Array.from({ length: 50 }, (_, i) => i))])
        )
        const whole = yield* result(request_id)
        const announced = yield* ok(poll(request_id, true))
        assert.strictEqual(announced.status, "complete_metadata")
        assert.strictEqual(announced.response_payload_size, JSON.stringify(whole).length)
        const step = yield* ok(optimStep(model, 2))
        yield* result(step.request_id)
        assert.property(yield* ok(poll(step.request_id, true)), "metrics")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("is 404 for an unknown id, and 410 once its result is evicted", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ resultRetention: "1 minute" })
      yield* Effect.gen(function* () {
        const unknown = yield* poll("nothing")
        assert.strictEqual(unknown.status, 404)
        assert.match(unknown.body.detail, /nothing/)
        const model = yield* createModel(yield* createSession)
        const { request_id } = yield* ok(forwardBackward(model, 1))
        yield* result(request_id)
        yield* TestClock.adjust("60 seconds")
        assert.strictEqual((yield* poll(request_id)).status, 200)
        yield* TestClock.adjust("1 seconds")
        assert.strictEqual((yield* poll(request_id)).status, 410)
      }).pipe(Effect.provide(layer))
    })
  )
})
