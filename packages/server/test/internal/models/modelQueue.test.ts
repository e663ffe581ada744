import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Training from "@effect-tinker/api/Training"
import type { PassOptions } from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as TestClock from "effect/TestClock"
import * as responses from "../../../src/internal/util/responses.ts"
import * as client from "../../utils/client.ts"
import * as queues from "../../utils/modelQueue.ts"

const { createModel, createSession, forwardBackward, ok, optimStep, post, result, run } = client

// runs the fibers of the service without moving the clock
const settle = TestClock.adjust(0)

describe("a queue alone", () => {
  it.scoped("gives a repeated operation its first receipt, and another one under its number a conflict", () =>
    Effect.gen(function* () {
      const { queue, ran, settle, submit } = yield* queues.make()
      const first = yield* submit(0)
      assert.strictEqual(first.id, "0")
      assert.strictEqual(yield* submit(0), first)
      assert.strictEqual(yield* queue.find(0, "f0"), first)
      assert.strictEqual(yield* queue.find(1, "f1"), undefined)
      const conflict = "ConflictResponse: model m: seq_id 0 was used for another request"
      assert.strictEqual(yield* queues.rejectionOf(submit(0, { fingerprint: "x" })), conflict)
      assert.strictEqual(yield* queues.rejectionOf(queue.find(0, "x")), conflict)
      assert.strictEqual((yield* submit(undefined)).id, "1")
      yield* settle
      assert.deepStrictEqual(ran, [0, 1])
    })
  )

  it.scoped("says what it waits for and how far it came", () =>
    Effect.gen(function* () {
      const { queue, settle, submit } = yield* queues.make({ maxAhead: 10 })
      const seen = () => [queue.isBusy, queue.missing, queue.isAwaited(0), queue.isAwaited(1), queue.isAhead(1)]
      assert.deepStrictEqual(seen(), [false, undefined, false, false, false])
      assert.isFalse(queue.isAhead(undefined))
      const gate = yield* Deferred.make<void>()
      yield* submit(0, { gate })
      yield* settle
      assert.deepStrictEqual(seen(), [true, undefined, false, false, false])
      yield* submit(2)
      assert.deepStrictEqual(seen(), [true, undefined, false, true, true])
      assert.isFalse(queue.isAhead(2))
      assert.isFalse(queue.isAwaited(undefined))
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepStrictEqual(seen(), [true, 1, false, true, true])
      yield* submit(1)
      yield* settle
      assert.deepStrictEqual(seen(), [false, undefined, false, false, true])
      assert.strictEqual(queue.tooFarAhead(undefined), undefined)
      assert.strictEqual(queue.tooFarAhead(13), undefined)
      assert.strictEqual(
        queue.tooFarAhead(14)?.detail,
        "model m: seq_id 14 is more than 10 ahead of 3, which runs next"
      )
    })
  )

  it.scoped("runs nothing past a number that was refused, and takes the number of a rejected operation", () =>
    Effect.gen(function* () {
      const { outcomeOf, queue, ran, released, settle, submit } = yield* queues.make({ maxAhead: 10 })
      const no = responses.badRequest("no")
      const seen: Array<number> = []
      const check = (seqId: number) => {
        seen.push(seqId)
        return no
      }
      assert.strictEqual(yield* queues.rejectionOf(submit(0, { check })), "BadRequestResponse: no")
      // the same request is rejected alike, without a further check
      assert.strictEqual(yield* queues.rejectionOf(submit(0, { check })), "BadRequestResponse: no")
      assert.deepStrictEqual(seen, [0])
      // one without a number leaves the next number free
      assert.strictEqual(yield* queues.rejectionOf(submit(undefined, { check })), "BadRequestResponse: no")
      assert.deepStrictEqual(seen, [0, 1])
      assert.strictEqual((yield* submit(1)).id, "1")
      yield* settle
      assert.deepStrictEqual([ran, released], [[1], [1]])
      // what was not taken is not given back, and a number too far ahead is not used up
      yield* queue.consumeSeqId(13, "f13", no)
      assert.strictEqual(yield* queue.find(13, "f13"), undefined)
      yield* queue.consumeSeqId(12, "f12", no)
      assert.strictEqual(yield* queues.rejectionOf(queue.find(12, "f12")), "BadRequestResponse: no")
      // a number that is used stays as it is
      yield* queue.consumeSeqId(1, "f1", no)
      assert.strictEqual((yield* submit(1)).id, "1")
      assert.strictEqual((yield* outcomeOf(1))?._tag, "Done")
    })
  )

  it.scoped("fails what is behind a gap after its timeout, and goes on behind it", () =>
    Effect.gen(function* () {
      const { outcomeOf, queue, ran, released, settle, submit } = yield* queues.make()
      yield* submit(0)
      yield* submit(2)
      yield* submit(3)
      yield* queue.consumeSeqId(4, "f4", responses.badRequest("no"))
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual(yield* outcomeOf(2), undefined)
      yield* TestClock.adjust("1 millis")
      const reason = "model m: seq_id 1 did not arrive within 60 s, so nothing after it can run"
      for (const id of [2, 3]) {
        assert.deepStrictEqual(yield* outcomeOf(id), { _tag: "Failed", error: reason, category: "user" })
      }
      assert.deepStrictEqual([ran, released], [[0], [0, 2, 3]])
      assert.deepStrictEqual([queue.isBusy, queue.missing], [false, undefined])
      assert.strictEqual(
        yield* queues.rejectionOf(submit(1)),
        "ConflictResponse: model m: seq_id 1 came too late, the wait for it has ended"
      )
      assert.strictEqual((yield* submit(undefined)).id, "5")
      yield* settle
      assert.deepStrictEqual(ran, [0, 5])
      // a second gap has a timeout of its own
      yield* submit(7)
      yield* TestClock.adjust("30 seconds")
      yield* submit(8)
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(yield* outcomeOf(7), undefined)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* outcomeOf(7))?._tag, "Failed")
      assert.strictEqual((yield* outcomeOf(8))?._tag, "Failed")
      // no gap, no timeout
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* submit(undefined)).id, "9")
      yield* settle
      assert.deepStrictEqual(ran, [0, 5, 9])
    })
  )

  it.scoped("runs the last operation once, behind those that had arrived, and fails those that arrive later", () =>
    Effect.gen(function* () {
      const { close, outcomeOf, queue, ran, released, settle, submit } = yield* queues.make()
      const gate = yield* Deferred.make<void>()
      yield* submit(0, { gate })
      yield* submit(2)
      yield* settle
      assert.isFalse(queue.isClosedTo(9))
      const last = yield* close
      assert.strictEqual(yield* close, last)
      assert.deepStrictEqual(
        [undefined, 1, 2, 3].map((seqId) => queue.isClosedTo(seqId)),
        [true, false, false, true]
      )
      // it comes later, and is not checked
      const check = () => responses.badRequest("no")
      assert.strictEqual((yield* submit(3, { check })).id, "3")
      const unloaded = { _tag: "Failed", error: "it was unloaded", category: "user" } as const
      assert.deepStrictEqual(yield* outcomeOf(3), unloaded)
      yield* queue.consumeSeqId(4, "f4", responses.badRequest("no"))
      yield* submit(1)
      assert.strictEqual(yield* outcomeOf("last"), undefined)
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepStrictEqual(ran, [0, 1, 2, "last"])
      assert.isFalse(queue.isBusy)
      assert.strictEqual((yield* outcomeOf("last"))?._tag, "Done")
      assert.strictEqual((yield* submit(undefined)).id, "5")
      assert.deepStrictEqual(yield* outcomeOf(5), unloaded)
      assert.deepStrictEqual(ran, [0, 1, 2, "last"])
      assert.sameMembers(released, [0, 1, 2])
    })
  )

  it.scoped("runs the last operation when the gap before it ends", () =>
    Effect.gen(function* () {
      const { close, outcomeOf, ran, submit } = yield* queues.make()
      yield* submit(1)
      yield* close
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual((yield* outcomeOf(1))?._tag, "Failed")
      assert.strictEqual((yield* outcomeOf("last"))?._tag, "Done")
      assert.deepStrictEqual(ran, ["last"])
    })
  )

  it.scoped("that has ended fails what is queued, and rejects everything later with the reason", () =>
    Effect.gen(function* () {
      const { close, outcomeOf, queue, ran, released, settle, submit } = yield* queues.make()
      yield* submit(0)
      yield* settle
      yield* submit(2)
      yield* close
      yield* queue.end("the session has ended")
      const failed = { _tag: "Failed", error: "the session has ended", category: "server" } as const
      for (const id of [2, "last"]) assert.deepStrictEqual(yield* outcomeOf(id), failed)
      assert.sameMembers(released, [0, 2])
      const gone = "NotFoundResponse: the session has ended"
      for (const later of [submit(0), submit(1), submit(undefined), close, queue.find(2, "f2")]) {
        assert.strictEqual(yield* queues.rejectionOf(Effect.asVoid(later as Effect.Effect<unknown, never>)), gone)
      }
      yield* queue.consumeSeqId(1, "f1", responses.badRequest("no"))
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(ran, [0])
      assert.isFalse(queue.isBusy)
    })
  )

  it.scoped("remembers 4000 numbers that were used", () =>
    Effect.gen(function* () {
      const { queue, settle, submit } = yield* queues.make()
      for (let seqId = 0; seqId <= 4000; seqId++) {
        yield* submit(seqId)
        if (seqId % 500 === 0) yield* settle
      }
      yield* settle
      assert.strictEqual((yield* queue.find(1, "f1"))?.id, "1")
      assert.strictEqual(
        yield* queues.rejectionOf(queue.find(0, "f0")),
        "ConflictResponse: model m: seq_id 0 came too late, the wait for it has ended"
      )
    })
  )

  it.scoped("remembers each number that waits to run", () =>
    Effect.gen(function* () {
      const { queue, ran, settle, submit } = yield* queues.make({ maxAhead: 5000 })
      const gate = yield* Deferred.make<void>()
      yield* submit(0, { gate })
      for (let seqId = 1; seqId <= 4001; seqId++) yield* submit(seqId)
      assert.strictEqual((yield* queue.find(1, "f1"))?.id, "1")
      assert.strictEqual((yield* submit(1)).id, "1")
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.strictEqual(ran.length, 4002)
    })
  )
})

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
