import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as client from "../../utils/client.ts"

const { createModel, createSession, forwardBackward, ok, poll, post, result, run } = client

const heartbeat = (session_id: string) => client.statusOf(post("/session_heartbeat", { session_id }))

describe("a session", () => {
  it.scoped("has a unique id, and is 404 under an unknown one", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const one = yield* createSession
        const two = yield* createSession
        assert.notStrictEqual(one, two)
        assert.match(one, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        assert.deepStrictEqual(yield* ok(post("/session_heartbeat", { session_id: one })), {
          type: "session_heartbeat"
        })
        assert.strictEqual(yield* heartbeat("unknown"), 404)
        const base_model = "effect-tinker/test"
        const model = yield* post("/create_model", { session_id: "unknown", model_seq_id: 0, base_model })
        assert.strictEqual(model.status, 404)
        assert.match(model.body.detail, /unknown/)
        const sampler = { session_id: "unknown", sampling_session_seq_id: 0, base_model }
        assert.strictEqual((yield* post("/create_sampling_session", sampler)).status, 404)
        assert.strictEqual((yield* forwardBackward("unknown", 1)).status, 404)
        assert.strictEqual((yield* post("/get_info", { model_id: "unknown" })).status, 404)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("ends when it gets no heartbeats, and releases its models and samplers", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const quiet = yield* createSession
        const model = yield* createModel(quiet)
        const { sampling_session_id } = yield* run("/save_weights_for_sampler", { model_id: model })
        yield* run("/asample", client.sampleRequest(sampling_session_id, 0))
        const alive = yield* createSession
        const kept = yield* createModel(alive)
        yield* TestClock.adjust("200 seconds")
        assert.strictEqual(yield* heartbeat(alive), 200)
        yield* TestClock.adjust("101 seconds")
        assert.deepStrictEqual(yield* engine.live, { models: 1, samplers: 0 })
        assert.strictEqual(yield* heartbeat(quiet), 410)
        assert.strictEqual((yield* forwardBackward(model)).status, 404)
        assert.strictEqual((yield* post("/asample", client.sampleRequest(sampling_session_id, 1))).status, 404)
        const base_model = "effect-tinker/test"
        assert.strictEqual(
          (yield* post("/create_model", { session_id: quiet, model_seq_id: 1, base_model })).status,
          410
        )
        assert.property(yield* result((yield* ok(forwardBackward(kept))).request_id), "metrics")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("stays alive while an operation runs", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { layer } = yield* client.start(
        { sessionTimeout: "10 seconds" },
        { before: ({ name }) => (name === "forwardBackward" ? Deferred.await(gate) : Effect.void) }
      )
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const model = yield* createModel(session)
        const { request_id } = yield* ok(forwardBackward(model))
        yield* TestClock.adjust("1 minute")
        yield* Deferred.succeed(gate, undefined)
        assert.property(yield* result(request_id), "metrics")
        yield* TestClock.adjust("11 seconds")
        assert.strictEqual(yield* heartbeat(session), 410)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("stays alive while an operation waits for a missing seq_id", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ sessionTimeout: "10 seconds", gapTimeout: "2 minutes" })
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const { request_id } = yield* ok(forwardBackward(model, 2))
        const waiting = yield* Effect.fork(result(request_id))
        yield* TestClock.adjust("119 seconds")
        assert.strictEqual((yield* Fiber.poll(waiting))._tag, "None")
        yield* TestClock.adjust("1 seconds")
        assert.match((yield* Fiber.join(waiting)).error, /seq_id 1/)
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect(
    "ends with the service: running operations are interrupted, queued ones fail, and all models are released",
    () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        let interrupted = false
        const { engine, layer } = yield* client
          .start(
            {},
            {
              before: ({ name }) =>
                name === "forwardBackward"
                  ? Effect.onInterrupt(Effect.never, () =>
                      Effect.sync(() => {
                        interrupted = true
                      })
                    )
                  : Effect.void
            }
          )
          .pipe(Scope.extend(scope))
        yield* Effect.gen(function* () {
          const model = yield* createModel(yield* createSession)
          const running = yield* ok(forwardBackward(model, 1))
          const waiting = yield* ok(forwardBackward(model, 2))
          const polls = yield* Effect.fork(
            Effect.all([poll(running.request_id), poll(waiting.request_id)], { concurrency: 2 })
          )
          yield* TestClock.adjust("1 seconds")
          yield* Scope.close(scope, Exit.void)
          const [first, second] = yield* Fiber.join(polls)
          assert.deepStrictEqual([first.body.category, second.body.category], ["server", "server"])
        }).pipe(Effect.provide(layer))
        assert.isTrue(interrupted)
        assert.deepStrictEqual(yield* engine.live, { models: 0, samplers: 0 })
      })
  )
})
