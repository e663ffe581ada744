import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, TestClock } from "effect"
import { bodyOf, failureOf } from "../../utils/exits.ts"
import { connect, json, scripted } from "../../utils/services.ts"
import { errorResponse, results, run, seqIds, settle } from "../../utils/trainingRun.ts"

const datum = Datum.fromPromptCompletion([1, 2], [3])
const data = [datum, datum, datum]

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
