import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import { withWarnings } from "@effect-tinker/testing/Logs"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope, TestClock } from "effect"
import * as alone from "../../utils/submissions.ts"
import { bodyOf, failureOf } from "../../utils/exits.ts"
import { connect, json, scripted } from "../../utils/services.ts"
import { errorResponse, results, run, seqIds, settle } from "../../utils/trainingRun.ts"

const datum = Datum.fromPromptCompletion([1, 2], [3])
const data = [datum, datum, datum]

type Alone = Effect.Effect.Success<ReturnType<typeof alone.make>>

const refused = alone.response(422, "no")

// splits a batch into chunks of one datum
const chunks = { "/client/config": json({ fwdbwd_max_chunk_len: 1 }) }

describe("a batch that is split into chunks", () => {
  it.scoped("sends all chunks but the first concurrently, then the first, and then the next operation", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        {
          ...chunks,
          "/forward_backward": (request) =>
            ScriptedHttpClient.after(
              bodyOf(request)["seq_id"] === 2 ? "5 seconds" : "1 second",
              json({ request_id: `ForwardBackward:${bodyOf(request)["seq_id"]}` })
            )
        },
        (training, http) =>
          Effect.gen(function* () {
            const pass = yield* training.forwardBackward(data, "cross_entropy")
            const step = yield* training.optimStep()
            yield* TestClock.adjust("4 seconds")
            assert.deepStrictEqual(yield* seqIds(http, "/forward_backward"), [2, 3])
            yield* TestClock.adjust("1500 millis")
            assert.deepStrictEqual(yield* seqIds(http, "/forward_backward"), [2, 3, 1])
            assert.deepStrictEqual(yield* seqIds(http, "/optim_step"), [])
            yield* TestClock.adjust("1 second")
            yield* Fiber.join(step)
            return yield* Fiber.join(pass)
          })
      )
      assert.deepStrictEqual(yield* seqIds(http, "/optim_step"), [4])
      assert.deepStrictEqual(
        value.loss_fn_outputs.map((item) => Array.from(item["logprobs"]!.data as Float32Array)),
        [[-1], [-2], [-3]],
        "results are in the order of the data"
      )
    })
  )

  it.scoped("sends its chunks one after the other if the service asks for that", () =>
    Effect.gen(function* () {
      const { http } = yield* run(
        { "/client/config": json({ fwdbwd_max_chunk_len: 1, parallel_fwdbwd_chunks: false }) },
        (training) => Effect.flatMap(training.forwardBackward(data, "cross_entropy"), Fiber.join)
      )
      assert.deepStrictEqual(yield* seqIds(http, "/forward_backward"), [1, 2, 3])
    })
  )

  it.scoped(
    "leaves a partial gradient when a chunk is rejected: a forward pass takes the number of the first chunk",
    () =>
      Effect.gen(function* () {
        const { http, value } = yield* run(
          {
            ...chunks,
            "/forward_backward": (request) =>
              bodyOf(request)["seq_id"] === 3 ? errorResponse(403) : json({ request_id: "ForwardBackward:2" })
          },
          (training) =>
            Effect.gen(function* () {
              const pass = yield* training.forwardBackward(data, "cross_entropy")
              const step = yield* training.optimStep()
              return [yield* Fiber.await(pass), yield* Fiber.await(step)] as const
            })
        )
        assert.strictEqual(failureOf(value[0])?._tag, "PermissionDenied")
        const partial = failureOf(value[1])
        assert.strictEqual(partial?._tag, "PartialGradient")
        assert.include(partial?.message, "forwardBackward (seq_id 3)")
        const passes = yield* http.requestsTo("/forward_backward")
        assert.deepStrictEqual(
          passes.map(({ body }) => {
            const { forward_only, seq_id } = body as { seq_id: number; forward_only?: boolean }
            return [seq_id, forward_only === true]
          }),
          [
            [2, false],
            [3, false],
            [1, true]
          ]
        )
        assert.strictEqual((yield* http.requestsTo("/optim_step")).length, 0)
      })
  )

  it.scoped("sends all chunks of a forward pass although one is rejected, so that no sequence number is missing", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        {
          ...chunks,
          "/forward_backward": (request) =>
            bodyOf(request)["seq_id"] === 2 ? errorResponse(403) : json({ request_id: "ForwardBackward:1" })
        },
        (training) =>
          Effect.gen(function* () {
            const pass = yield* training.forward(data, "cross_entropy")
            const step = yield* training.optimStep()
            return [yield* Fiber.await(pass), yield* Fiber.await(step)] as const
          })
      )
      assert.strictEqual(failureOf(value[0])?._tag, "PermissionDenied")
      assert.isTrue(Exit.isSuccess(value[1]))
      assert.deepStrictEqual((yield* seqIds(http, "/forward_backward")).toSorted(), [1, 2, 3])
      assert.deepStrictEqual(yield* seqIds(http, "/optim_step"), [4])
    })
  )

  it.scoped("sends the remaining chunks although the scope closes in between", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        ...chunks,
        "/retrieve_future": results,
        "/forward_backward": (request) =>
          bodyOf(request)["seq_id"] === 2
            ? json({ request_id: "ForwardBackward:2" })
            : ScriptedHttpClient.after("2 seconds", json({ request_id: `ForwardBackward:1` }))
      })
      yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const scope = yield* Scope.make()
        const training = yield* Scope.extend(service.createLoraTrainingClient({ base_model: "base" }), scope)
        const pass = yield* training.forwardBackward(data, "cross_entropy")
        const step = yield* training.optimStep()
        yield* TestClock.adjust("1 second")
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(closing)
        assert.strictEqual(failureOf(yield* Fiber.await(pass))?._tag, "ClientClosed")
        assert.strictEqual(failureOf(yield* Fiber.await(step))?._tag, "ClientClosed")
      }).pipe(Effect.provide(connect(http)))
      const passes = yield* http.requestsTo("/forward_backward")
      assert.deepStrictEqual(passes.map((pass) => [bodyOf(pass)["seq_id"], pass.outcome]).toSorted(), [
        [1, "responded"],
        [2, "responded"],
        [3, "responded"]
      ])
      assert.strictEqual((yield* http.requestsTo("/optim_step")).length, 0)
    }).pipe(Effect.scoped)
  )
})

describe("a submission", () => {
  it.scoped("breaks the client with a typed error when it dies, since its sequence number is missing", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run({ "/optim_step": Effect.die("odd") as never }, (training) =>
        Effect.gen(function* () {
          const step = yield* training.optimStep()
          const saved = yield* training.saveState("a")
          return [yield* Fiber.await(step), yield* Fiber.await(saved)] as const
        })
      )
      assert.isTrue(Exit.isFailure(value[0]) && value[0].cause._tag === "Die")
      assert.strictEqual(failureOf(value[1])?._tag, "ClientBroken")
      assert.strictEqual((yield* http.requestsTo("/save_weights")).length, 0)
    })
  )

  it.scoped("is sent again with its sequence number when the response cannot be read", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        { "/optim_step": [ScriptedHttpClient.text("<html>"), json(null), json({ request_id: "OptimStep" })] },
        (training) => Effect.flatMap(training.optimStep(), (step) => settle(step, "10 seconds"))
      )
      assert.isTrue(Exit.isSuccess(value))
      assert.deepStrictEqual(yield* seqIds(http, "/optim_step"), [1, 1, 1])
    })
  )

  it.scoped("keeps its place in the queue whether its future is awaited, interrupted or joined again", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run({}, (training) =>
        Effect.gen(function* () {
          const futures: Array<Fiber.Fiber<unknown, unknown>> = []
          for (let i = 0; i < 20; i++) {
            futures.push(i % 2 === 0 ? yield* training.optimStep() : yield* training.saveState(`s${i}`))
          }
          // some are interrupted while they wait, others before
          yield* Effect.forEach(futures, (future, i) =>
            i % 3 === 0
              ? Effect.flatMap(Effect.fork(Fiber.await(future)), Fiber.interrupt)
              : Fiber.interruptFork(future)
          )
          yield* TestClock.adjust("1 second")
          return yield* Fiber.join(yield* training.optimStep())
        })
      )
      assert.deepStrictEqual(value, { metrics: {} })
      const sent = (yield* http.requests)
        .filter(({ path }) => path === "/optim_step" || path === "/save_weights")
        .map((request) => bodyOf(request)["seq_id"])
      assert.deepStrictEqual(
        sent,
        Array.from({ length: 21 }, (_, i) => i + 1)
      )
    })
  )
})

describe("the queue of a model", () => {
  it.scoped("tells what is refused behind a failed operation why, and starts again once the program has seen it", () =>
    Effect.gen(function* () {
      const { end, sent, submit } = yield* alone.make()
      const pass = yield* submit({ role: "gradient", answer: () => refused })
      const rest = yield* submit({ role: "gradient" })
      const step = yield* submit({ role: "step" })
      const read = yield* submit({ role: "reads" })
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(sent(), ["forwardBackward:1", "forward:2"])
      // called before the program saw the failure: it is part of no step that is refused, for the update has ended that
      const blind = yield* submit({ role: "step" })
      assert.deepStrictEqual(yield* end(blind), [3])
      assert.strictEqual(yield* end(pass), "BadRequest")
      const next = yield* submit({ role: "gradient" })
      assert.deepStrictEqual(yield* end(next), [4])
      const reason = "StepRefused NoGradient of forwardBackward:1"
      assert.deepStrictEqual([yield* end(rest), yield* end(step), yield* end(read)], [reason, reason, [2]])
      assert.deepStrictEqual([rest.seqIds, step.seqIds], [[], []])
    })
  )

  it.scoped("names the request of several that was refused, and counts those that were accepted", () =>
    Effect.gen(function* () {
      const { end, submit } = yield* alone.make()
      yield* submit({ role: "gradient", requestCount: 2, answer: ({ index }) => (index === 1 ? refused : undefined) })
      assert.strictEqual(yield* end(yield* submit({ role: "step" })), "PartialGradient of forwardBackward:2")
      const reads = yield* alone.make()
      yield* reads.submit({
        role: "reads",
        requestCount: 2,
        answer: ({ index }) => (index === 1 ? refused : undefined)
      })
      assert.deepStrictEqual(yield* reads.end(yield* reads.submit({ role: "step" })), [3])
    })
  )

  it.scoped("names a pass that failed after it was accepted to what is called once that was seen", () =>
    Effect.gen(function* () {
      const { attempts, operationOf, queue } = yield* alone.make()
      const failing = { ...operationOf({ role: "gradient" }), combine: () => Effect.runSync(Effect.die("late")) }
      const pass = yield* queue.submit(failing as never)
      const before = yield* queue.submit(operationOf({ role: "reads" }))
      yield* Fiber.await(pass)
      yield* Effect.exit(Fiber.join(pass))
      yield* Effect.exit(Fiber.join(pass))
      const after = yield* queue.submit(operationOf({ role: "reads" }))
      yield* Fiber.join(before)
      yield* Fiber.join(after)
      assert.deepStrictEqual(
        attempts.map(({ named, seqId }) => [seqId, named]),
        [
          [1, undefined],
          [2, undefined],
          [3, "1"]
        ]
      )
    })
  )

  it.scoped("warns of a batch that is submitted again after a failure, and of a step that lacks a pass", () =>
    Effect.gen(function* () {
      const { end, operationOf, queue, submit } = yield* alone.make()
      const batch = [{}]
      for (let i = 0; i < 4; i++) yield* end(yield* submit({ role: "gradient", batch, answer: () => refused }))
      const failing = { ...operationOf({ role: "gradient" }), combine: () => Effect.runSync(Effect.die("late")) }
      const pass = yield* queue.submit(failing as never)
      const step = yield* submit({ role: "step" })
      yield* Fiber.await(pass)
      yield* end(step)
      yield* TestClock.adjust(0)
    }).pipe(
      withWarnings,
      Effect.tap(({ lines }) => {
        assert.deepStrictEqual(
          lines.slice(0, 3).map((line) => line.slice(0, 78)),
          [
            "forwardBackward: the same batch is submitted for the 2nd time, after a failure",
            "forwardBackward: the same batch is submitted for the 3rd time, after a failure",
            "forwardBackward: the same batch is submitted for the 4th time, after a failure"
          ]
        )
        assert.match(lines[3]!, /^a step was applied although forwardBackward \(seq_id \d\) of it failed: it lacks/)
        assert.strictEqual(lines.length, 4)
      })
    )
  )

  it.scoped("has a span for each operation with its numbers, and the spans of its requests below", () =>
    Effect.gen(function* () {
      const { end, submit } = yield* alone.make()
      const parents: Array<string> = []
      const noteParent = Effect.flatMap(Effect.currentParentSpan, (span) =>
        Effect.sync(() => void parents.push(span._tag === "Span" ? span.name : ""))
      ).pipe(Effect.orDie)
      const pass = yield* submit({ role: "gradient", requestCount: 2, answer: () => noteParent })
      yield* end(pass)
      assert.deepStrictEqual(parents, Array(2).fill("TrainingClient.forwardBackward"))
    })
  )

  it.scoped("gives the operations of a group one place, and their unused numbers to those behind", () =>
    Effect.gen(function* () {
      const { end, operationOf, queue, sent, submit } = yield* alone.make()
      const group = yield* queue.submitGroup({
        method: "forwardBackwardCustom",
        role: "gradient",
        requestCount: 5,
        run: ({ submit }) =>
          Effect.gen(function* () {
            yield* yield* submit(operationOf({ role: "reads", requestCount: 2 }))
            return yield* submit(operationOf({ role: "gradient" }))
          })
      })
      const step = yield* submit({ role: "step" })
      assert.deepStrictEqual(yield* end(group as never), [3])
      assert.deepStrictEqual(yield* end(step), [4])
      assert.deepStrictEqual(sent(), ["forward:1", "forward:2", "forwardBackward:3", "optimStep:4"])
      assert.deepStrictEqual([group.seqIds, step.seqIds], [[1, 2, 3], [4]])
    })
  )

  it.scoped("fails a group whose code fails, and gives its numbers back", () =>
    Effect.gen(function* () {
      const { end, operationOf, queue, submit } = yield* alone.make()
      const group = yield* queue.submitGroup({
        method: "forwardBackwardCustom",
        role: "gradient",
        requestCount: 3,
        run: ({ runUserCode, submit }) =>
          Effect.gen(function* () {
            yield* yield* submit(operationOf({ role: "reads" }))
            return yield* runUserCode(Effect.fail("my loss" as const))
          })
      })
      const step = yield* submit({ role: "step" })
      assert.strictEqual(yield* Effect.flip(Fiber.join(group)), "my loss")
      assert.strictEqual(yield* end(step), "StepRefused NoGradient of forwardBackwardCustom:1")
      assert.deepStrictEqual(yield* end(yield* submit({ role: "step" })), [2])
    })
  )

  it.scoped("refuses a submission by the code of a group of its own, which would wait for itself", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* alone.make(), yield* alone.make()]
      const group = yield* one.queue.submitGroup({
        method: "forwardBackwardCustom",
        role: "reads",
        requestCount: 1,
        run: ({ runUserCode, submit }) =>
          Effect.gen(function* () {
            const refusal = yield* Effect.flip(runUserCode(one.submit({ role: "step" })))
            yield* runUserCode(other.submit({ role: "step" }))
            yield* submit(one.operationOf({ role: "reads" }))
            return Effect.succeed([refusal._tag, refusal.message])
          }).pipe(Effect.orDie)
      })
      const [tag, message] = yield* Fiber.join(group)
      assert.strictEqual(tag, "InvalidInput")
      assert.include(message, "optimStep: loss was submitted inside a loss of the same client")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([one.sent(), other.sent()], [["forward:1"], ["optimStep:1"]])
    })
  )

  it.scoped("rejects what waits behind a request that is interrupted, and names it", () =>
    Effect.gen(function* () {
      const { end, submit } = yield* alone.make()
      const pass = yield* submit({ role: "gradient", answer: () => Effect.interrupt })
      const step = yield* submit({ role: "step" })
      assert.strictEqual(yield* end(pass), "ClientBroken of forwardBackward:1")
      assert.strictEqual(yield* end(step), "ClientBroken of forwardBackward:1")
    })
  )
})

describe("a pass that fails after the service accepted it", () => {
  const failure = new TinkerError.RequestFailed({
    method: "m",
    requestId: "r",
    category: "server",
    reason: "no"
  } as never)

  /** A pass that is accepted, and fails once `fail` runs. */
  const submitLate = ({ operationOf, queue }: Alone, requestCount = 1) =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const pass = yield* queue.submitGroup({
        method: "forwardBackward",
        role: "gradient",
        requestCount,
        run: ({ submit }) =>
          Effect.map(submit(operationOf({ role: "gradient", requestCount })), () =>
            Effect.andThen(Deferred.await(gate), Effect.fail(failure))
          )
      })
      yield* TestClock.adjust(0)
      return { pass, fail: Effect.andThen(Deferred.succeed(gate, undefined), TestClock.adjust(0)) }
    })

  /** An operation that reads, and is not answered before `open` runs: what is called behind it waits. */
  const hold = ({ submit }: Alone) =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      yield* submit({ role: "reads", answer: () => Deferred.await(gate) })
      yield* TestClock.adjust(0)
      return Effect.andThen(Deferred.succeed(gate, undefined), TestClock.adjust(0))
    })

  const dropped = "StepRefused NoGradient of forwardBackward:1"

  it.scoped("drops the rest of its step, which waits, and names its number to the step behind", () =>
    Effect.gen(function* () {
      const all = yield* alone.make()
      const { fail } = yield* submitLate(all)
      const open = yield* hold(all)
      const rest = yield* all.submit({ role: "gradient" })
      const step = yield* all.submit({ role: "step" })
      const read = yield* all.submit({ role: "reads" })
      const next = yield* all.submit({ role: "step" })
      yield* fail
      yield* open
      assert.deepStrictEqual([yield* all.end(rest), yield* all.end(step)], [dropped, dropped])
      assert.deepStrictEqual([yield* all.end(read), yield* all.end(next)], [[3], [4]])
      assert.deepStrictEqual(
        all.attempts.map(({ method, named, seqId }) => [method, seqId, named]),
        [
          ["forwardBackward", 1, undefined],
          ["forward", 2, undefined],
          ["forward", 3, "1"],
          ["optimStep", 4, undefined]
        ]
      )
    })
  )

  it.scoped("leaves its update to a service that drops failed steps, where that holds other passes", () =>
    Effect.gen(function* () {
      for (const [dropsFailedSteps, expected] of [
        [true, [4]],
        [false, "PartialGradient of forwardBackward:1"]
      ] as const) {
        const all = yield* alone.make({ dropsFailedSteps })
        const { fail } = yield* submitLate(all)
        yield* all.submit({ role: "gradient" })
        const open = yield* hold(all)
        const rest = yield* all.submit({ role: "gradient" })
        const step = yield* all.submit({ role: "step" })
        yield* fail
        yield* open
        assert.strictEqual(yield* all.end(rest), dropped)
        assert.deepStrictEqual(yield* all.end(step), expected as never)
      }
    })
  )

  it.scoped("of several requests may have left a part, which no service but one that drops it may apply", () =>
    Effect.gen(function* () {
      for (const [dropsFailedSteps, expected] of [
        [true, [4]],
        [false, "PartialGradient of forwardBackward:1"]
      ] as const) {
        const all = yield* alone.make({ dropsFailedSteps })
        const { fail } = yield* submitLate(all, 2)
        const open = yield* hold(all)
        const step = yield* all.submit({ role: "step" })
        yield* fail
        yield* open
        assert.deepStrictEqual(yield* all.end(step), expected as never)
      }
    })
  )

  it.scoped("changes nothing once its update was sent, nor for the steps of later passes", () =>
    Effect.gen(function* () {
      const all = yield* alone.make()
      const { fail } = yield* submitLate(all, 2)
      assert.deepStrictEqual(yield* all.end(yield* all.submit({ role: "step" })), [3])
      yield* fail
      const pass = yield* all.submit({ role: "gradient" })
      const step = yield* all.submit({ role: "step" })
      assert.deepStrictEqual([yield* all.end(pass), yield* all.end(step)], [[4], [5]])
      // a load clears what there was
      const other = yield* alone.make()
      const late = yield* submitLate(other)
      yield* other.submit({ role: "load" })
      yield* TestClock.adjust(0)
      yield* late.fail
      assert.deepStrictEqual(yield* other.end(yield* other.submit({ role: "step" })), [3])
    })
  )
})
