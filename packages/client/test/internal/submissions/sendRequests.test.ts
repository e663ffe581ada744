import * as TinkerError from "@effect-tinker/api/TinkerError"
import { withWarnings } from "@effect-tinker/testing/Logs"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as submissions from "../../utils/submissions.ts"

const { lost, response, unreadable } = submissions
const refused = response(422, "no")
const invalid = new TinkerError.InvalidInput({ method: "m", path: "data", reason: "is empty" })
const conflict = (expected: number) => response(409, `seq_id: expected ${expected}`)

/** Lets what waits for nothing run. */
const settle = TestClock.adjust(0)

describe("operations with one request each", () => {
  it.scoped("are sent one after the other with the numbers of their calls", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { end, sent, submit } = yield* submissions.make()
      const first = yield* submit({ role: "gradient", answer: () => Deferred.await(gate) })
      const second = yield* submit({ role: "step" })
      const third = yield* submit({ role: "reads" })
      yield* settle
      assert.deepStrictEqual(sent(), ["forwardBackward:1"])
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual([yield* end(first), yield* end(second), yield* end(third)], [[1], [2], [3]])
      assert.deepStrictEqual(sent(), ["forwardBackward:1", "optimStep:2", "forward:3"])
      assert.deepStrictEqual([first.seqIds, second.seqIds, third.seqIds], [[1], [2], [3]])
      // the queue waits for more
      yield* settle
      const fourth = yield* submit({ role: "step" })
      assert.deepStrictEqual(yield* end(fourth), [4])
    })
  )

  it.scoped("that are refused use their number, which later ones name until one is accepted", () =>
    Effect.gen(function* () {
      const { attempts, end, submit } = yield* submissions.make()
      assert.strictEqual(yield* end(yield* submit({ role: "reads", answer: () => refused })), "BadRequest")
      assert.strictEqual(yield* end(yield* submit({ role: "reads", answer: () => refused })), "BadRequest")
      for (let i = 0; i < 2; i++) yield* end(yield* submit({ role: "reads" }))
      assert.deepStrictEqual(
        attempts.map(({ named, seqId }) => [seqId, named]),
        [
          [1, undefined],
          [2, "1"],
          [3, "1,2"],
          [4, undefined]
        ]
      )
    })
  )

  it.scoped("that were never sent pass their number on", () =>
    Effect.gen(function* () {
      const { end, sent, submit } = yield* submissions.make()
      const first = yield* submit({ role: "gradient", answer: () => invalid })
      const second = yield* submit({ role: "reads" })
      assert.deepStrictEqual([yield* end(first), yield* end(second)], ["InvalidInput", [1]])
      assert.deepStrictEqual(sent(), ["forwardBackward:1", "forward:1"])
      assert.deepStrictEqual([first.seqIds, second.seqIds], [[], [1]])
    })
  )

  it.scoped("obey a 409 that names the number it expects, where that is safe", () =>
    Effect.gen(function* () {
      const { end, sent, submit } = yield* submissions.make()
      yield* end(yield* submit({ role: "reads" }))
      const moved = yield* submit({ role: "reads", answer: (_, n) => (n === 0 ? conflict(7) : undefined) })
      const next = yield* submit({ role: "reads" })
      assert.deepStrictEqual([yield* end(moved), yield* end(next)], [[7], [8]])
      // one that names the number itself says nothing
      const back = yield* submit({ role: "reads", answer: ({ seqId }) => (seqId === 9 ? conflict(9) : undefined) })
      assert.strictEqual(yield* end(back), "Conflict")
      assert.deepStrictEqual(sent(), ["forward:1", "forward:2", "forward:7", "forward:8", "forward:9"])
    })
  )

  it.scoped("obey no 409 that names a number of accepted requests, or a higher one after they may have arrived", () =>
    Effect.gen(function* () {
      for (const [call, tag] of [
        [{ answer: () => conflict(1) }, "Conflict"],
        [
          {
            answer: (_attempt: unknown, n: number, { onRetry }: { onRetry: (error: never) => void }) => {
              if (n === 0) onRetry(lost as never)
              return conflict(5)
            }
          },
          "Conflict"
        ]
      ] as const) {
        const { end, sent, submit } = yield* submissions.make()
        yield* end(yield* submit({ role: "gradient" }))
        assert.strictEqual(yield* end(yield* submit({ role: "step", ...call } as never)), tag)
        assert.deepStrictEqual(sent(), ["forwardBackward:1", "optimStep:2"])
        assert.strictEqual(yield* end(yield* submit({ role: "step" })), "ClientBroken of optimStep:2")
      }
      // a lower one is safe even then, where nothing was accepted since
      const { end, submit } = yield* submissions.make()
      yield* end(yield* submit({ role: "reads" }))
      yield* end(yield* submit({ role: "reads", answer: () => refused }))
      yield* end(yield* submit({ role: "reads", answer: () => refused }))
      const lower = yield* submit({
        role: "reads",
        answer: (_, n, { onRetry }) => {
          if (n > 0) return undefined
          onRetry(lost)
          return conflict(2)
        }
      })
      assert.deepStrictEqual(yield* end(lower), [2])
    })
  )

  it.scoped("whose response cannot be read are sent again three times, and then leave doubt", () =>
    Effect.gen(function* () {
      const { end, retried, sent, submit } = yield* submissions.make()
      const read = yield* submit({ role: "gradient", answer: (_, n) => (n < 2 ? unreadable : undefined) })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* end(read), [1])
      const never = yield* submit({ role: "step", answer: () => unreadable })
      const behind = yield* submit({ role: "step" })
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual([yield* end(never), yield* end(behind)], ["DecodeError", "ClientBroken of optimStep:2"])
      assert.deepStrictEqual(sent(), [...Array(3).fill("forwardBackward:1"), ...Array(4).fill("optimStep:2")])
      assert.deepStrictEqual(retried, Array(5).fill("DecodeError"))
    })
  )

  it.scoped(
    "that are refused after a response that could not be read leave doubt, unless the refusal is about them",
    () =>
      Effect.gen(function* () {
        for (const [error, next] of [
          [response(401), "ClientBroken of forwardBackward:1"],
          [refused, "StepRefused NoGradient of forwardBackward:1"]
        ] as const) {
          const { end, submit } = yield* submissions.make()
          const first = yield* submit({ role: "gradient", answer: (_, n) => (n === 0 ? unreadable : error) })
          const step = yield* submit({ role: "step" })
          yield* TestClock.adjust("10 seconds")
          yield* end(first)
          assert.strictEqual(yield* end(step), next)
        }
      })
  )
})

describe("a client that lost a request", () => {
  it.scoped("sends nothing behind it but what reads, with the numbers in doubt, and warns once", () =>
    Effect.gen(function* () {
      const { attempts, end, sent, submit } = yield* submissions.make()
      const pass = yield* submit({ role: "gradient", answer: () => lost })
      const step = yield* submit({ role: "step" })
      const free = yield* submit({ role: "reads" })
      const taken = yield* submit({
        role: "reads",
        requestCount: 2,
        answer: ({ seqId }) => (seqId === 1 ? response(409, "seq_id 1 was used") : undefined)
      })
      assert.deepStrictEqual(
        [yield* end(pass), yield* end(step), yield* end(free), yield* end(taken)],
        ["TransportError", "ClientBroken of forwardBackward:1", [1], [2, 3]]
      )
      assert.deepStrictEqual(sent(), ["forwardBackward:1", "forward:1", "forward:2", "forward:3"])
      assert.deepStrictEqual([step.seqIds, free.seqIds, taken.seqIds], [[], [1], [2, 3]])
      assert.isTrue(attempts.every(({ fills }) => !fills))
      const later = yield* submit({ role: "load" })
      assert.strictEqual(yield* end(later), "ClientBroken of forwardBackward:1")
    }).pipe(
      withWarnings,
      Effect.tap(({ lines }) => {
        assert.strictEqual(lines.length, 1)
        assert.match(
          lines[0]!,
          /^forward is sent although it is not known whether forwardBackward \(seq_id 1\) was applied/
        )
      })
    )
  )

  it.scoped("tries the next number where one is used already, and no other conflict", () =>
    Effect.gen(function* () {
      const { end, sent, submit } = yield* submissions.make()
      yield* end(yield* submit({ role: "gradient", answer: () => lost }))
      const used = yield* submit({
        role: "reads",
        answer: ({ seqId }) => (seqId === 1 ? response(409, "seq_id 1 was used") : undefined)
      })
      assert.deepStrictEqual(yield* end(used), [2])
      const other = yield* submit({ role: "reads", answer: () => response(409, "a checkpoint of that name exists") })
      assert.strictEqual(yield* end(other), "Conflict")
      const fresh = yield* submit({ role: "reads", answer: () => response(409, "seq_id 4 was used") })
      assert.strictEqual(yield* end(fresh), "Conflict")
      assert.deepStrictEqual(sent(), ["forwardBackward:1", "forward:1", "forward:2", "forward:3", "forward:4"])
    })
  )

  it.scoped("sends nothing at all behind a defect", () =>
    Effect.gen(function* () {
      const { end, sent, submit } = yield* submissions.make()
      const pass = yield* submit({ role: "gradient", answer: () => Effect.die("a bug") })
      const read = yield* submit({ role: "reads" })
      assert.isTrue(Exit.isFailure(yield* Fiber.await(pass)))
      assert.strictEqual(yield* end(read), "ClientBroken of forwardBackward:1")
      assert.deepStrictEqual(sent(), ["forwardBackward:1"])
    })
  )
})

describe("an operation with several requests", () => {
  it.scoped("sends all but the first at once, and the first when those are accepted", () =>
    Effect.gen(function* () {
      const gates = yield* Effect.all([Deferred.make<void>(), Deferred.make<void>()])
      const { end, sent, submit } = yield* submissions.make()
      const pass = yield* submit({
        role: "gradient",
        requestCount: 3,
        parallel: true,
        answer: ({ index }) => (index === 0 ? undefined : Deferred.await(gates[index - 1]!))
      })
      const step = yield* submit({ role: "step" })
      yield* settle
      assert.deepStrictEqual(sent(), ["forwardBackward:2", "forwardBackward:3"])
      yield* Deferred.succeed(gates[1]!, undefined)
      yield* settle
      assert.strictEqual(sent().length, 2)
      yield* Deferred.succeed(gates[0]!, undefined)
      assert.deepStrictEqual([yield* end(pass), yield* end(step)], [[1, 2, 3], [4]])
      assert.deepStrictEqual(sent().slice(2), ["forwardBackward:1", "optimStep:4"])
      assert.deepStrictEqual(pass.seqIds, [1, 2, 3])
    })
  )

  it.scoped("in order is not continued once a gradient cannot be complete; what only reads goes on", () =>
    Effect.gen(function* () {
      const gradient = yield* submissions.make()
      const answer = ({ index }: submissions.Attempt) => (index === 1 ? refused : undefined)
      const pass = yield* gradient.submit({ role: "gradient", requestCount: 4, answer })
      const step = yield* gradient.submit({ role: "step" })
      assert.deepStrictEqual(
        [yield* gradient.end(pass), yield* gradient.end(step)],
        ["BadRequest", "PartialGradient of forwardBackward:2"]
      )
      assert.deepStrictEqual(gradient.sent(), ["forwardBackward:1", "forwardBackward:2"])
      // those that were not sent pass their numbers on
      assert.deepStrictEqual(yield* gradient.end(yield* gradient.submit({ role: "reads" })), [3])
      const reads = yield* submissions.make()
      const forward = yield* reads.submit({ role: "reads", requestCount: 3, answer })
      assert.strictEqual(yield* reads.end(forward), "BadRequest")
      assert.deepStrictEqual(reads.sent(), ["forward:1", "forward:2", "forward:3"])
    })
  )

  it.scoped("at once puts requests that change nothing in place of those that were not sent", () =>
    Effect.gen(function* () {
      const { attempts, end, sent, submit } = yield* submissions.make()
      const pass = yield* submit({
        role: "gradient",
        requestCount: 4,
        parallel: true,
        hasFill: true,
        answer: ({ fills, index }) => (!fills && index === 2 ? refused : undefined)
      })
      const read = yield* submit({ role: "reads" })
      assert.deepStrictEqual([yield* end(pass), yield* end(read)], ["BadRequest", [5]])
      assert.deepStrictEqual(sent().toSorted(), [
        "forward:5",
        "forwardBackward:2",
        "forwardBackward:3",
        "forwardBackward:4",
        "~forwardBackward:1"
      ])
      // made from one that was accepted
      assert.strictEqual(attempts.find(({ fills }) => fills)!.index, 1)
    })
  )

  it.scoped("names the number of a request in place of another that was refused too, or was not sent", () =>
    Effect.gen(function* () {
      const { attempts, end, submit } = yield* submissions.make()
      const pass = yield* submit({
        role: "gradient",
        requestCount: 2,
        parallel: true,
        hasFill: true,
        answer: () => refused
      })
      yield* end(pass)
      yield* end(yield* submit({ role: "reads" }))
      assert.strictEqual(attempts.at(-1)!.named, "2,1")
    })
  )

  it.scoped("that loses one leaves the rest in doubt", () =>
    Effect.gen(function* () {
      for (const parallel of [true, false]) {
        const { end, sent, submit } = yield* submissions.make()
        const pass = yield* submit({
          role: "gradient",
          requestCount: 3,
          parallel,
          answer: ({ index }) => (index === 1 ? lost : undefined)
        })
        const read = yield* submit({
          role: "reads",
          answer: ({ seqId }) => (seqId < 3 ? response(409, "seq_id used") : undefined)
        })
        assert.strictEqual(yield* end(pass), "TransportError")
        // the first is never sent behind a lost one, and a read takes the lowest number that is free
        assert.isFalse(parallel && sent().includes("forwardBackward:1"))
        assert.deepStrictEqual(yield* end(read), [parallel ? 4 : 3], String(parallel))
      }
    })
  )

  it.scoped("sends all again where a 409 names another number and the service has none of them", () =>
    Effect.gen(function* () {
      for (const parallel of [true, false]) {
        const { end, sent, submit } = yield* submissions.make()
        const pass = yield* submit({
          role: "gradient",
          requestCount: 3,
          parallel,
          answer: ({ seqId }) => (seqId < 5 ? conflict(5) : undefined)
        })
        const step = yield* submit({ role: "step" })
        assert.deepStrictEqual([yield* end(pass), yield* end(step)], [[5, 6, 7], [8]], String(parallel))
        assert.deepStrictEqual(sent().slice(-4), [
          "forwardBackward:5",
          "forwardBackward:6",
          "forwardBackward:7",
          "optimStep:8"
        ])
        assert.strictEqual(sent().length, parallel ? 6 : 5)
        assert.deepStrictEqual(pass.seqIds, [5, 6, 7])
      }
    })
  )

  it.scoped("obeys a 409 once, and none where the service has accepted others", () =>
    Effect.gen(function* () {
      const again = yield* submissions.make()
      const twice = yield* again.submit({
        role: "gradient",
        requestCount: 2,
        answer: ({ seqId }) => conflict(seqId + 5)
      })
      assert.strictEqual(yield* again.end(twice), "Conflict")
      assert.strictEqual(yield* again.end(yield* again.submit({ role: "step" })), "ClientBroken of forwardBackward:6")
      for (const parallel of [true, false]) {
        const { end, submit } = yield* submissions.make()
        const pass = yield* submit({
          role: "gradient",
          requestCount: 3,
          parallel,
          answer: ({ index }) => (index === 2 ? conflict(9) : undefined)
        })
        assert.strictEqual(yield* end(pass), "Conflict")
        assert.strictEqual(yield* end(yield* submit({ role: "step" })), "ClientBroken of forwardBackward:3")
      }
    })
  )

  it.scoped("at once obeys no 409 that came before the service accepted another", () =>
    Effect.gen(function* () {
      const { end, sent, submit } = yield* submissions.make()
      const pass = yield* submit({
        role: "gradient",
        requestCount: 3,
        parallel: true,
        answer: ({ index }) => (index === 1 ? conflict(9) : Effect.sleep("1 second"))
      })
      const step = yield* submit({ role: "step" })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* end(pass), "Conflict")
      assert.strictEqual(yield* end(step), "ClientBroken of forwardBackward:2")
      assert.deepStrictEqual(sent(), ["forwardBackward:2", "forwardBackward:3"])
      // what reads goes on with the numbers in doubt: that of the conflict, and that of the request that was not sent
      const reads = yield* submit({ role: "reads", requestCount: 2 })
      assert.deepStrictEqual(yield* end(reads), [1, 2])
    })
  )

  it.scoped("at once passes the number of a last one that was not sent on, and leaves those of refused ones", () =>
    Effect.gen(function* () {
      const { end, sent, submit } = yield* submissions.make()
      const pass = yield* submit({
        role: "gradient",
        requestCount: 4,
        parallel: true,
        hasFill: true,
        answer: ({ fills, index }) => (fills ? undefined : index === 3 ? invalid : index === 1 ? refused : undefined)
      })
      const read = yield* submit({ role: "reads" })
      assert.deepStrictEqual([yield* end(pass), yield* end(read)], ["BadRequest", [4]])
      assert.deepStrictEqual(sent().toSorted(), [
        "forward:4",
        "forwardBackward:2",
        "forwardBackward:3",
        "forwardBackward:4",
        "~forwardBackward:1"
      ])
      assert.deepStrictEqual(pass.seqIds, [1, 2, 3])
    })
  )

  it.scoped("without requests that change nothing leaves a number that is missing to the service", () =>
    Effect.gen(function* () {
      const { end, sent, submit } = yield* submissions.make()
      const answer = ({ index }: submissions.Attempt) => (index === 1 ? refused : undefined)
      const pass = yield* submit({ role: "gradient", requestCount: 3, parallel: true, answer })
      assert.strictEqual(yield* end(pass), "BadRequest")
      assert.deepStrictEqual(yield* end(yield* submit({ role: "reads" })), [4])
      assert.deepStrictEqual(sent(), ["forwardBackward:2", "forwardBackward:3", "forward:4"])
    })
  )

  it.scoped("that only reads sends the first although another was refused", () =>
    Effect.gen(function* () {
      const { end, sent, submit } = yield* submissions.make()
      const answer = ({ index }: submissions.Attempt) => (index === 1 ? refused : undefined)
      const pass = yield* submit({ role: "reads", requestCount: 3, parallel: true, answer })
      assert.strictEqual(yield* end(pass), "BadRequest")
      assert.deepStrictEqual(sent(), ["forward:2", "forward:3", "forward:1"])
    })
  )

  it.scoped("names the number of a request that changes nothing and could not be sent either", () =>
    Effect.gen(function* () {
      const { attempts, end, submit } = yield* submissions.make()
      const pass = yield* submit({
        role: "gradient",
        requestCount: 3,
        parallel: true,
        hasFill: true,
        answer: ({ fills, index }) => (fills ? invalid : index === 2 ? refused : undefined)
      })
      yield* end(pass)
      yield* end(yield* submit({ role: "reads" }))
      assert.strictEqual(attempts.at(-1)!.named, "3,1")
    })
  )

  it.scoped("names the one that could not be sent to the step that lacks it", () =>
    Effect.gen(function* () {
      const { end, submit } = yield* submissions.make()
      const answer = ({ index }: submissions.Attempt) => (index === 1 ? invalid : undefined)
      yield* submit({ role: "gradient", requestCount: 2, answer })
      assert.strictEqual(yield* end(yield* submit({ role: "step" })), "PartialGradient of forwardBackward:2")
    })
  )

  it.scoped("is finished within five seconds when the client closes, if the service has a part of it", () =>
    Effect.gen(function* () {
      for (const [accepted, expected] of [
        [true, ["forwardBackward:2", "forwardBackward:3", "forwardBackward:1"]],
        [false, ["forwardBackward:2", "forwardBackward:3"]]
      ] as const) {
        const scope = yield* Scope.make()
        const { sent, submit } = yield* Scope.extend(submissions.make(), scope)
        const pass = yield* submit({
          role: "gradient",
          requestCount: 3,
          parallel: true,
          answer: ({ index }) => (index === 2 || !accepted ? Effect.sleep("3 seconds") : undefined)
        })
        yield* settle
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("4 seconds")
        yield* Fiber.join(closing)
        assert.deepStrictEqual(sent(), [...expected])
        assert.strictEqual((yield* Effect.flip(Fiber.join(pass)))._tag, "ClientClosed")
      }
      const scope = yield* Scope.make()
      const { sent, submit } = yield* Scope.extend(submissions.make(), scope)
      yield* submit({
        role: "gradient",
        requestCount: 3,
        answer: ({ index }) => (index === 1 ? Effect.sleep("10 seconds") : undefined)
      })
      yield* settle
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual((yield* Fiber.poll(closing))._tag, "None")
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(sent(), ["forwardBackward:1", "forwardBackward:2"])
    })
  )
})
