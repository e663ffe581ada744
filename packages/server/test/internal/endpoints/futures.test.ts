import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as client from "../../utils/client.ts"

const { createSession, ok, post, result, statusOf } = client

const createSampler = (session_id: string) =>
  Effect.map(
    ok(post("/create_sampling_session", { session_id, sampling_session_seq_id: 0, base_model: "effect-tinker/test" })),
    ({ sampling_session_id }) => sampling_session_id as string
  )

describe("the endpoints of the group futures", () => {
  it.scoped("wait for all samples of a sampling session at once", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ longPoll: "5 seconds" })
      yield* Effect.gen(function* () {
        const sampling_session_id = yield* createSampler(yield* createSession)
        const target = { type: "sampling_session", sampling_session_id, cloned_sampler_id: 0 }
        const waiting = yield* Effect.fork(ok(post("/retrieve_futures", { target, prev_cursor: 0 })))
        const { request_id } = yield* ok(post("/asample", client.sampleRequest(sampling_session_id, 1)))
        const { completions, cursor } = yield* Fiber.join(waiting)
        assert.strictEqual(cursor, 1)
        assert.strictEqual(completions[0].request_id, request_id)
        assert.strictEqual(completions[0].state, "finished")
        assert.isAbove(completions[0].response_payload_uncompressed_size, 0)
        yield* result(request_id)

        // no more samples; results that the client has received are evicted
        const later = yield* Effect.fork(
          ok(post("/retrieve_futures", { target, prev_cursor: 1, retrieved_request_ids: [request_id] }))
        )
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(yield* Fiber.join(later), { completions: [], cursor: 1 })
        assert.strictEqual(yield* statusOf(client.poll(request_id)), 410)

        // a client that joins has separate completions
        const joined = yield* ok(post("/join_sampling_session", { sampling_session_id }))
        assert.strictEqual(joined.client_counter, 1)
        const own = yield* ok(post("/asample", client.sampleRequest(sampling_session_id, 1e9 + 1)))
        yield* result(own.request_id)
        const found = yield* ok(post("/retrieve_futures", { target: { ...target, cloned_sampler_id: 1 }, timeout: 0 }))
        assert.strictEqual(found.completions[0].request_id, own.request_id)
        assert.strictEqual(yield* statusOf(post("/join_sampling_session", { sampling_session_id: "none" })), 404)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("tell clients to cancel the samples that they abandon", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      const config = yield* ok(post("/client/dynamic_config", { sdk_version: "1" })).pipe(Effect.provide(layer))
      assert.isTrue(config.sample_cancel_enabled)
    })
  )

  it.scoped("cancel a sample after its client hung up, unless it polls again", () =>
    Effect.gen(function* () {
      const ended: Array<number> = []
      const { layer } = yield* client.start(
        { hangUpGrace: "30 seconds" },
        {
          before: ({ index, name }) =>
            name === "sample"
              ? Effect.onInterrupt(Effect.sleep("1 hour"), () => Effect.sync(() => void ended.push(index)))
              : Effect.void
        }
      )
      yield* Effect.gen(function* () {
        const sampling_session_id = yield* createSampler(yield* createSession)
        const submit = (seqId: number) =>
          Effect.map(
            ok(post("/asample", client.sampleRequest(sampling_session_id, seqId))),
            ({ request_id }) => request_id as string
          )
        const [left, kept] = [yield* submit(1), yield* submit(2)]
        const hangUp = (id: string) =>
          Effect.gen(function* () {
            const poll = yield* Effect.fork(client.poll(id))
            yield* TestClock.adjust("1 second")
            yield* Fiber.interrupt(poll)
          })
        yield* Effect.all([hangUp(left), hangUp(kept)])
        yield* TestClock.adjust("10 seconds")
        const again = yield* Effect.fork(client.poll(kept))
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(ended.length, 1)
        assert.strictEqual((yield* ok(Fiber.join(again))).type, "try_again")
        // so that a client which waits after all submits it again
        assert.strictEqual(yield* statusOf(client.poll(left)), 410)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("cancel the samples of a client that hung up while it waited for all of them", () =>
    Effect.gen(function* () {
      const ended: Array<number> = []
      const { layer } = yield* client.start(
        { hangUpGrace: "30 seconds", longPoll: "5 minutes" },
        {
          before: ({ index, name }) =>
            name === "sample"
              ? Effect.onInterrupt(Effect.sleep("1 hour"), () => Effect.sync(() => void ended.push(index)))
              : Effect.void
        }
      )
      yield* Effect.gen(function* () {
        const sampling_session_id = yield* createSampler(yield* createSession)
        for (const seqId of [1, 2, 1e9 + 1]) {
          yield* ok(post("/asample", client.sampleRequest(sampling_session_id, seqId)))
        }
        const waitForAll = post("/retrieve_futures", { target: { sampling_session_id, cloned_sampler_id: 0 } })
        const hangUp = Effect.gen(function* () {
          const waiting = yield* Effect.fork(waitForAll)
          yield* TestClock.adjust("1 second")
          yield* Fiber.interrupt(waiting)
        })
        yield* hangUp
        yield* TestClock.adjust("10 seconds")
        const again = yield* Effect.fork(waitForAll)
        yield* TestClock.adjust("60 seconds")
        assert.strictEqual(ended.length, 0, "it asked again in time")
        yield* Fiber.interrupt(again)
        yield* TestClock.adjust("31 seconds")
        assert.strictEqual(ended.length, 2, "those of the other client go on")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("cancel samples, and reject the cancellation of unknown requests", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({}, { before: () => Effect.sleep("1 hour") })
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const sampling_session_id = yield* createSampler(session)
        const { request_id } = yield* ok(post("/asample", client.sampleRequest(sampling_session_id, 1)))
        assert.strictEqual(yield* statusOf(post("/cancel_future", { request_id })), 204)
        const failed = yield* result(request_id)
        assert.deepStrictEqual(failed, { error: "the request was cancelled", category: "user" })
        assert.strictEqual(yield* statusOf(post("/cancel_future", { request_id: "none" })), 404)
      }).pipe(Effect.provide(layer))
    })
  )
})
