import * as TestEngine from "@effect-tinker/testing/TestEngine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as client from "../utils/client.ts"
import * as slow from "../utils/slowEngine.ts"

const { createModel, createSession, datum, forwardBackward, ok, post, result } = client

/** A pass of so many parts. */
const pass = (model: string, seq: number, parts = 1) =>
  ok(
    forwardBackward(
      model,
      seq,
      Array.from({ length: parts * slow.datumsPerPart }, () => datum([1, 2, 3]))
    )
  )

const createSampler = (session_id: string, sampling_session_seq_id: number) =>
  Effect.map(
    ok(post("/create_sampling_session", { session_id, sampling_session_seq_id, base_model: TestEngine.baseModel })),
    ({ sampling_session_id }) => sampling_session_id as string
  )

const sample = (sampler: string, seq: number, num_samples: number) =>
  ok(post("/asample", client.sampleRequest(sampler, seq, { num_samples })))

/** Runs the fibers of the service. */
const settle = TestClock.adjust(0)

/** Queues 160 passes of 8 parts on 40 models, and returns their session. */
const floodWithPasses = Effect.gen(function* () {
  const session = yield* createSession
  const models = yield* Effect.forEach(
    Array.from({ length: 40 }, (_, i) => i),
    (i) => createModel(session, i)
  )
  for (let seq = 1; seq <= 4; seq++) for (const model of models) yield* pass(model, seq, 8)
  yield* settle
  return session
})

/** Queues 200,000 samples on 5 samplers. */
const floodWithSamples = Effect.gen(function* () {
  const session = yield* createSession
  for (let sampler = 0; sampler < 5; sampler++) {
    const id = yield* createSampler(session, sampler)
    for (let seq = 0; seq < 10; seq++) yield* sample(id, seq, 4000)
  }
  yield* settle
  return session
})

describe("users of one engine", () => {
  it.scoped("wait for one part at most while another user has 160 passes in the queue", () =>
    Effect.gen(function* () {
      const { ada, bob } = yield* slow.start()
      const model = yield* bob(Effect.flatMap(createSession, (session) => createModel(session)))
      yield* ada(floodWithPasses)
      for (let seq = 1; seq <= 5; seq++) {
        const small = Effect.flatMap(pass(model, seq), ({ request_id }) => result(request_id))
        assert.isAtMost(yield* slow.partsUntil(bob(small)), 2)
      }
    })
  )

  it.scoped("wait for one part at most while another user has 200,000 samples in the queue", () =>
    Effect.gen(function* () {
      const { ada, bob } = yield* slow.start()
      const session = yield* bob(createSession)
      const model = yield* bob(createModel(session))
      const sampler = yield* bob(createSampler(session, 0))
      yield* ada(floodWithSamples)
      const small = Effect.flatMap(pass(model, 1), ({ request_id }) => result(request_id))
      assert.isAtMost(yield* slow.partsUntil(bob(small)), 2)
      const one = Effect.flatMap(sample(sampler, 0, 1), ({ request_id }) => result(request_id))
      assert.isAtMost(yield* slow.partsUntil(bob(one)), 2)
    })
  )

  it.scoped("share it equally when both have more than enough to do", () =>
    Effect.gen(function* () {
      const { ada, bob, parts } = yield* slow.start()
      const model = yield* bob(Effect.flatMap(createSession, (session) => createModel(session)))
      yield* ada(floodWithPasses)
      for (let seq = 1; seq <= 20; seq++) yield* bob(pass(model, seq, 3))
      const before = parts.length
      yield* Effect.replicateEffect(TestClock.adjust("100 millis"), 100)
      const later = parts.slice(before)
      const most = Math.max(...Array.from(new Set(later), (owner) => later.filter((other) => other === owner).length))
      assert.isAtLeast(later.length, 99)
      // bob has one model, and ada has 40
      assert.approximately(most, 50, 3)
    })
  )

  it.scoped("wait neither for their own other models", () =>
    Effect.gen(function* () {
      const { ada } = yield* slow.start()
      const session = yield* ada(createSession)
      const large = yield* ada(createModel(session, 0))
      const other = yield* ada(createModel(session, 1))
      for (let seq = 1; seq <= 20; seq++) yield* ada(pass(large, seq, 50))
      yield* settle
      const small = Effect.flatMap(pass(other, 1), ({ request_id }) => result(request_id))
      assert.isAtMost(yield* slow.partsUntil(ada(small)), 2)
    })
  )

  it.scoped("have nothing left in the engine when their session has ended", () =>
    Effect.gen(function* () {
      const { ada, parts } = yield* slow.start()
      const session = yield* ada(floodWithPasses)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* ada(post(`/sessions/${session}/finish`, { reason: { type: "success" } }))).status, 204)
      const before = parts.length
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(parts.length, before)
    })
  )
})
