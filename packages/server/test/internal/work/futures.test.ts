import { EngineError } from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as currentUser from "../../../src/internal/auth/currentUser.ts"
import * as futures from "../../../src/internal/work/futures.ts"
import * as outcomes from "../../../src/internal/work/outcomes.ts"
import * as client from "../../utils/client.ts"

const { createModel, createSession, forwardBackward, ok, optimStep, poll, result } = client

/** The futures of a service, alone. */
const makeFutures = (options: { readonly mark?: () => Effect.Effect<void>; readonly owner?: string } = {}) => {
  const all = new futures.Futures(Duration.minutes(1), options.mark)
  const load = futures.makeLoad(all.loadOf(options.owner))
  const add = (id: string, extra: Partial<futures.Entry> = {}) =>
    all.add({
      event: { name: "Forward", target: "m", seq_id: 1, queued: 5 },
      receipt: { id, envelope: {} },
      touch: Effect.void,
      load,
      bytes: 100,
      ...extra
    })
  const done = (bytes = 7) => outcomes.done({ json: () => "x".repeat(Math.max(0, bytes - 2)), bytes })
  return { all, load, add, done }
}

const as = (id: string | undefined) => Effect.provideService(currentUser.CurrentUser, { id })

const tagOf = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
  Effect.match(effect, { onFailure: ({ _tag }) => _tag, onSuccess: () => "found" })

describe("the futures of a service", () => {
  it.effect("are counted for their user until they have a result, and results until they are delivered", () =>
    Effect.gen(function* () {
      const { add, all, done, load } = makeFutures({ owner: "ada" })
      assert.strictEqual(all.loadOf("ada"), load.user)
      assert.notStrictEqual(all.loadOf("bob"), load.user)
      assert.strictEqual(all.loadOf("bob").owner, "bob")
      const [one, two, three] = [add("1"), add("2", { started: 0 }), add("3")]
      const counts = () => [load.user.pending, load.user.pendingBytes, load.user.resultBytes, all.size]
      assert.deepStrictEqual(counts(), [3, 300, 0, 3])
      assert.deepStrictEqual(all.load, { running: 1, queued: 2 })
      assert.isTrue(all.isDelivered)
      yield* all.complete(one, done())
      assert.deepStrictEqual(counts(), [2, 200, 7, 3])
      assert.isFalse(all.isDelivered)
      // the first outcome stays
      yield* all.complete(one, outcomes.failed("no", "user"))
      assert.deepStrictEqual(counts(), [2, 200, 7, 3])
      assert.strictEqual(Option.getOrThrow(yield* all.awaitOutcome(one, Duration.zero))._tag, "Done")
      yield* all.complete(two, outcomes.failed("no", "user"))
      assert.deepStrictEqual(counts(), [1, 100, 7, 3])
      assert.deepStrictEqual(all.load, { running: 0, queued: 1 })
      all.markDelivered(one, 7)
      assert.deepStrictEqual(counts(), [1, 100, 0, 3])
      assert.isFalse(all.isDelivered)
      all.markDelivered(two, 0)
      assert.isTrue(all.isDelivered)
      // only what has a result is released
      for (const id of ["1", "3", "nothing"]) all.release(id)
      assert.deepStrictEqual(counts(), [1, 100, 0, 2])
      assert.deepStrictEqual([...load.requestIds], ["2", "3"])
      yield* all.complete(three, done())
      all.releaseAll(load)
      assert.deepStrictEqual(counts(), [0, 0, 0, 0])
      assert.deepStrictEqual([load.requestIds.size, load.delivered.size, load.deliveredBytes], [0, 0, 0])
      assert.deepStrictEqual(all.load, { running: 0, queued: 0 })
    })
  )

  it.effect("of another user, and results of theirs that were evicted, do not exist", () =>
    Effect.gen(function* () {
      const { add, all, done } = makeFutures({ owner: "ada" })
      const entry = add("1")
      assert.strictEqual(yield* as("ada")(all.find("1")), entry)
      assert.strictEqual(yield* as(undefined)(all.find("1")), entry)
      const missing = yield* Effect.flip(as("bob")(all.find("1")))
      assert.deepStrictEqual([missing._tag, missing.detail], ["NotFoundResponse", "there is no request 1"])
      yield* all.complete(entry, done())
      all.release("1")
      const gone = yield* Effect.flip(as("ada")(all.find("1")))
      assert.deepStrictEqual([gone._tag, gone.detail], ["GoneResponse", "the result of request 1 is no longer held"])
      assert.strictEqual(yield* tagOf(as("bob")(all.find("1"))), "NotFoundResponse")
      assert.strictEqual(yield* tagOf(as("ada")(all.find("2"))), "NotFoundResponse")
    })
  )

  it.effect("keep a result for the time of retention, and what has none for as long as it takes", () =>
    Effect.gen(function* () {
      const { add, all, done } = makeFutures()
      const [one, two] = [add("1"), add("2")]
      yield* all.complete(one, done())
      yield* TestClock.adjust("30 seconds")
      yield* all.complete(add("3"), done())
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* tagOf(all.find("1")), "found")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        [yield* tagOf(all.find("1")), yield* tagOf(all.find("2")), yield* tagOf(all.find("3"))],
        ["GoneResponse", "found", "found"]
      )
      // a completion evicts old results too
      yield* TestClock.adjust("30 seconds")
      yield* all.complete(two, done())
      assert.strictEqual(all.size, 1)
    })
  )

  it.effect("wait for a result, for so long at most, and not once the service stops", () =>
    Effect.gen(function* () {
      const { add, all, done } = makeFutures()
      const entry = add("1")
      const isWaiting = (fiber: Fiber.RuntimeFiber<unknown, unknown>) =>
        Effect.map(Effect.zipRight(TestClock.adjust(0), Fiber.poll(fiber)), Option.isNone)
      const late = yield* Effect.fork(all.awaitOutcome(entry, Duration.seconds(2)))
      yield* TestClock.adjust("1999 millis")
      assert.isTrue(yield* isWaiting(late))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Option.isNone(yield* Fiber.join(late)))
      const waiting = yield* Effect.fork(all.awaitOutcome(entry, Duration.hours(1)))
      const event = yield* Deferred.make<void>()
      const events = yield* Effect.fork(all.awaitEvent(Deferred.await(event), Duration.hours(1)))
      assert.isTrue(yield* isWaiting(waiting))
      assert.isTrue(yield* isWaiting(events))
      yield* Deferred.succeed(event, undefined)
      assert.isFalse(yield* isWaiting(events))
      const short = yield* Effect.fork(all.awaitEvent(Effect.never, Duration.seconds(1)))
      yield* TestClock.adjust("1 seconds")
      assert.isFalse(yield* isWaiting(short))
      const never = yield* Effect.fork(all.awaitEvent(Effect.never, Duration.hours(1)))
      yield* all.stopWaiting
      assert.isFalse(yield* isWaiting(never))
      assert.isTrue(Option.isNone(yield* Fiber.join(waiting)))
      assert.isTrue(Option.isNone(yield* all.awaitOutcome(entry, Duration.hours(1))))
      yield* all.complete(entry, done())
      assert.isTrue(Option.isSome(yield* all.awaitOutcome(entry, Duration.hours(1))))
    })
  )

  it.effect("say how large a result is, if it can be encoded", () =>
    Effect.gen(function* () {
      const { add, all, done } = makeFutures()
      const [one, two, three] = [add("1"), add("2"), add("3")]
      for (const id of ["1", "nothing"]) assert.strictEqual(yield* all.resultSize(id), undefined)
      yield* all.complete(one, done(9))
      yield* all.complete(two, outcomes.failed("no", "user"))
      const broken = () => {
        throw new Error("no")
      }
      yield* all.complete(three, outcomes.done({ json: broken }))
      assert.deepStrictEqual(
        [yield* all.resultSize("1"), yield* all.resultSize("2"), yield* all.resultSize("3")],
        [9, undefined, undefined]
      )
    })
  )

  it.effect("retain 2000 delivered results and 128 MiB of them, the newest of any size", () =>
    Effect.gen(function* () {
      const { add, all, done, load } = makeFutures()
      const deliver = (id: string, bytes: number) =>
        Effect.gen(function* () {
          const entry = add(id)
          yield* all.complete(entry, done())
          all.markDelivered(entry, bytes)
          return entry
        })
      const first = yield* deliver("0", 1)
      for (let i = 1; i < 2000; i++) yield* deliver(String(i), 1)
      assert.strictEqual(all.size, 2000)
      // one that is delivered again is the newest, and counted once
      all.markDelivered(first, 2)
      assert.strictEqual(load.deliveredBytes, 2001)
      yield* deliver("2000", 1)
      assert.strictEqual(all.size, 2000)
      assert.strictEqual(yield* tagOf(all.find("1")), "GoneResponse")
      assert.strictEqual(yield* tagOf(all.find("0")), "found")
      // one that was evicted is not counted
      all.release("0")
      all.markDelivered(first, 1)
      assert.strictEqual(load.delivered.has("0"), false)
      const rest = 128 * 2 ** 20 - load.deliveredBytes
      yield* deliver("large", rest)
      assert.strictEqual(all.size, 2000)
      yield* deliver("huge", 2 ** 30)
      assert.deepStrictEqual([all.size, load.delivered.size, load.deliveredBytes], [1, 1, 2 ** 30])
    })
  )

  it.effect("remember 4000 results that were evicted", () =>
    Effect.gen(function* () {
      const { add, all, done } = makeFutures()
      for (let i = 0; i <= 4000; i++) {
        yield* all.complete(add(String(i)), done())
        all.release(String(i))
      }
      assert.strictEqual(yield* tagOf(all.find("0")), "NotFoundResponse")
      assert.strictEqual(yield* tagOf(all.find("1")), "GoneResponse")
    })
  )

  it.effect("hold nothing of the request once there is a result, and wait for what it recorded", () =>
    Effect.gen(function* () {
      const marks: Array<string> = []
      const { add, all, done, load } = makeFutures({ mark: () => Effect.sync(() => void marks.push("waited")) })
      let cancelled = 0
      const cancel = Effect.sync(() => void cancelled++)
      const state = () => ({ queue_state: "active" }) as const
      const entry = add("1", { cancel, state, started: 10 })
      yield* TestClock.adjust("20 millis")
      yield* all.complete(entry, done())
      assert.strictEqual(entry.state, undefined)
      yield* entry.cancel!
      assert.strictEqual(cancelled, 0)
      yield* entry.recorded!
      assert.deepStrictEqual(marks, ["waited"])
      const other = add("2", { recorded: Effect.sync(() => void marks.push("its own")) })
      yield* all.complete(other, outcomes.failed("no", "user"))
      assert.strictEqual(other.cancel, undefined)
      yield* other.recorded!
      assert.deepStrictEqual(marks, ["waited", "its own"])
      const event = { name: "Forward", target: "m", seq_id: 1, queued: 5, ended: 20 }
      assert.deepStrictEqual(load.trace.events, [
        { ...event, started: 10, outcome: "done" },
        { ...event, started: undefined, outcome: "failed" }
      ])
    })
  )
})

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
