import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import type { Environment } from "../../../src/internal/work/environment.ts"
import * as futures from "../../../src/internal/work/futures.ts"
import * as outcomes from "../../../src/internal/work/outcomes.ts"
import { cancelRequest, retrieveResult } from "../../../src/internal/work/retrieveResult.ts"

/** A service that holds futures and nothing else. */
const make = Effect.gen(function* () {
  const all = new futures.Futures(Duration.hours(1))
  const load = futures.makeLoad(all.loadOf(undefined))
  const scope = yield* Effect.scope
  const environment = {
    futures: all,
    settings: { longPoll: Duration.seconds(20), hangUpGrace: Duration.seconds(5), inlineLimit: 10 },
    forkApart: (effect: Effect.Effect<void>) => Effect.forkIn(effect, scope)
  } as unknown as Environment
  const state = { touched: 0, cancelled: 0 }
  const add = (id: string, extra: Partial<futures.Entry> = {}) =>
    all.add({
      event: { name: "Sample", target: "m", seq_id: 1, queued: 0 },
      receipt: { id, envelope: {} },
      touch: Effect.sync(() => void state.touched++),
      load,
      bytes: 1,
      ...extra
    })
  const cancel = Effect.sync(() => void state.cancelled++)
  const poll = (request_id: string, allow_metadata_only = false, format: outcomes.Format = "json") =>
    retrieveResult(environment, { request_id, allow_metadata_only }, format)
  return { all, add, cancel, environment, load, poll, state }
})

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

describe("a poll", () => {
  it.scoped("says the state of what has no result within twenty seconds", () =>
    Effect.gen(function* () {
      const { add, poll, state } = yield* make
      add("1")
      add("2", { state: () => ({ queue_state: "paused_capacity", queue_state_reason: "full" }) })
      const both = yield* Effect.fork(Effect.all([poll("1"), poll("2")], { concurrency: 2 }))
      yield* TestClock.adjust("19999 millis")
      assert.strictEqual((yield* Fiber.poll(both))._tag, "None")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(both), [
        { _tag: "TryAgain", body: { type: "try_again", request_id: "1", queue_state: "active" } },
        {
          _tag: "TryAgain",
          body: { type: "try_again", request_id: "2", queue_state: "paused_capacity", queue_state_reason: "full" }
        }
      ])
      assert.strictEqual(state.touched, 2)
    })
  )

  it.scoped("gets the result in the format that it asks for, once what it changed is recorded", () =>
    Effect.gen(function* () {
      const { add, all, load, poll } = yield* make
      const recorded = yield* Deferred.make<void>()
      const entry = add("1", { recorded: Deferred.await(recorded) })
      const asked: Array<string> = []
      yield* all.complete(entry, {
        _tag: "Done",
        bytes: 3,
        encode: (format) => {
          asked.push(format)
          return { format, bytes: new TextEncoder().encode("abc") }
        }
      })
      const waiting = yield* Effect.fork(poll("1", false, "protobuf"))
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* Fiber.poll(waiting))._tag, "None")
      yield* Deferred.succeed(recorded, undefined)
      const found = yield* Fiber.join(waiting)
      assert.deepInclude(found, { _tag: "Done", format: "protobuf" })
      assert.strictEqual(found._tag === "Done" && text(found.bytes), "abc")
      assert.deepStrictEqual(asked, ["protobuf"])
      assert.strictEqual(load.deliveredBytes, 3)
      yield* poll("1")
      assert.deepStrictEqual([asked.at(-1), load.deliveredBytes], ["json", 3])
    })
  )

  it.scoped("gets the size of a large result if it allows that, and the failure of one that has none", () =>
    Effect.gen(function* () {
      const { add, all, load, poll } = yield* make
      const done = (bytes: number): outcomes.Outcome => ({
        _tag: "Done",
        bytes,
        encode: (format) => ({ format, bytes: new Uint8Array(bytes) })
      })
      for (const bytes of [10, 11]) yield* all.complete(add(String(bytes)), done(bytes))
      assert.strictEqual((yield* poll("10", true))._tag, "Done")
      assert.deepStrictEqual(yield* poll("11", true), { _tag: "Large", size: 11 })
      assert.isFalse(load.delivered.has("11"))
      assert.isFalse(all.isDelivered)
      assert.strictEqual((yield* poll("11"))._tag, "Done")
      const failed = outcomes.failed("out of memory", "server")
      yield* all.complete(add("failed"), failed)
      assert.isFalse(all.isDelivered)
      assert.strictEqual(yield* poll("failed"), failed)
      assert.isTrue(all.isDelivered)
    })
  )

  it.scoped("of a result that cannot be encoded is told so, and the log has the reason", () =>
    Effect.gen(function* () {
      const { add, all, poll } = yield* make
      const broken = (): never => {
        throw new Error("a bug")
      }
      yield* all.complete(add("1"), { _tag: "Done", bytes: 1, encode: broken })
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`))
      const found = yield* Effect.provide(poll("1"), Logger.replace(Logger.defaultLogger, logger))
      assert.deepStrictEqual(found, {
        _tag: "Failed",
        error: "the result cannot be encoded, which the service has logged",
        category: "server"
      })
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "ERROR the result of 1 cannot be encoded")
    })
  )
})

describe("a sample whose client hangs up", () => {
  it.scoped("is cancelled five seconds later, and its id is gone", () =>
    Effect.gen(function* () {
      const { add, all, cancel, poll, state } = yield* make
      const entry = add("1", {
        cancel: Effect.andThen(
          cancel,
          Effect.suspend(() => complete)
        )
      })
      const complete: Effect.Effect<void> = all.complete(entry, outcomes.failed("cancelled", "user"))
      const polling = yield* Effect.fork(poll("1"))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(entry.waiting, 1)
      yield* Fiber.interrupt(polling)
      assert.strictEqual(entry.waiting, 0)
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(state.cancelled, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(state.cancelled, 1)
      assert.strictEqual((yield* Effect.flip(poll("1")))._tag, "GoneResponse")
    })
  )

  it.scoped("goes on if it polls again in time, if another still waits, or if nobody hung up", () =>
    Effect.gen(function* () {
      const { add, cancel, poll, state } = yield* make
      const hangUp = (id: string) =>
        Effect.gen(function* () {
          const polling = yield* Effect.fork(poll(id))
          yield* TestClock.adjust("1 seconds")
          yield* Fiber.interrupt(polling)
        })
      for (const id of ["again", "another", "ended"]) add(id, { cancel })
      yield* hangUp("again")
      yield* Effect.fork(poll("again"))
      const waiting = yield* Effect.fork(poll("another"))
      yield* hangUp("another")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(state.cancelled, 0)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "TryAgain")
      // a poll that ended by itself is no hang-up
      const ended = yield* Effect.fork(poll("ended"))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(ended)
      assert.strictEqual(state.cancelled, 0)
      // one that polled again later, and hung up as well
      yield* hangUp("again")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(state.cancelled, 1)
    })
  )
})

describe("a request that is cancelled", () => {
  it.scoped("is a sample, which nobody else may be", () =>
    Effect.gen(function* () {
      const { add, cancel, environment, state } = yield* make
      add("sample", { cancel })
      add("pass")
      yield* cancelRequest(environment, "sample")
      assert.strictEqual(state.cancelled, 1)
      const refused = yield* Effect.flip(cancelRequest(environment, "pass"))
      assert.deepInclude(refused, {
        _tag: "BadRequestResponse",
        detail: "request pass is not a sample: nothing else can be cancelled"
      })
      assert.strictEqual((yield* Effect.flip(cancelRequest(environment, "nothing")))._tag, "NotFoundResponse")
    })
  )

  it.scoped("with all others of its group is one that has no result and that nobody polls for", () =>
    Effect.gen(function* () {
      const { add, all, cancel, poll, state } = yield* make
      for (const id of ["a", "b", "c", "d"]) add(id, { cancel })
      yield* all.complete(add("done", { cancel }), outcomes.failed("no", "user"))
      yield* Effect.fork(poll("c"))
      yield* TestClock.adjust(0)
      yield* all.abandonAll(["a", "c", "done", "nothing"])
      assert.strictEqual(state.cancelled, 1)
      assert.strictEqual((yield* Effect.flip(poll("nothing")))._tag, "NotFoundResponse")
      assert.strictEqual((yield* poll("done"))._tag, "Failed")
    })
  )

  it.scoped("and forgotten has an id that never was", () =>
    Effect.gen(function* () {
      const { add, all, poll } = yield* make
      const [one] = [add("1"), add("2")]
      all.forget("1")
      yield* all.complete(one, outcomes.failed("no", "user"))
      assert.strictEqual((yield* poll("1"))._tag, "Failed")
      all.forget("1")
      all.forget("2")
      assert.strictEqual((yield* Effect.flip(poll("1")))._tag, "NotFoundResponse")
      assert.strictEqual(all.size, 1)
    })
  )
})
