import * as Datum from "@effect-tinker/api/Datum"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TinkerFuture from "@effect-tinker/client/TinkerFuture"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, TestClock } from "effect"
import { connect, json, scripted } from "./utils/services.ts"

const datum = Datum.fromPromptCompletion([1, 2], [3])
const error = (status: number, headers = {}, body: unknown = { detail: "no" }) => json(body, { status, headers })

type Steps = ScriptedHttpClient.Step | ReadonlyArray<ScriptedHttpClient.Step>
type Http = ScriptedHttpClient.ScriptedHttpClient

const bodyOf = (request: ScriptedHttpClient.Recorded) => request.body as Record<string, unknown>

const output = (seqId: unknown) => ({
  loss_fn_output_type: "ArrayRecord",
  loss_fn_outputs: [{ logprobs: { data: [-Number(seqId)], dtype: "float32", shape: [1] } }],
  metrics: { "loss:sum": 1 }
})

const results: ScriptedHttpClient.Step = (request) => {
  const id = String(bodyOf(request)["request_id"])
  if (id === "CreateModel") return json({ model_id: "model-1" })
  if (id.startsWith("ForwardBackward")) return json(output(id.split(":")[1]))
  if (id === "SaveWeights") return json({ path: "tinker://model-1/weights/a" })
  if (id === "SaveWeightsForSampler") return json({ path: "tinker://model-1/sampler_weights/a" })
  return json({ metrics: {} })
}

const run = <A, E>(
  overrides: Record<string, Steps>,
  program: (training: TrainingClient.TrainingClient, http: Http) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function* () {
    const http = yield* scripted.make({ "/retrieve_future": results, ...overrides })
    const value = yield* Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      return yield* program(yield* service.createLoraTrainingClient({ base_model: "base" }), http)
    }).pipe(Effect.scoped, Effect.provide(connect(http)))
    return { http, value }
  }).pipe(Effect.scoped)

// three chunks
const chunks = { "/client/config": json({ fwdbwd_max_chunk_len: 1 }) }
const data = [datum, datum, datum]

const failure = <A, E>(exit: Exit.Exit<A, E>) =>
  (Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error : undefined) as
    | TinkerError.TinkerError
    | undefined

const settle = <A, E>(fiber: Fiber.Fiber<A, E>, by: `${number} minutes` | `${number} seconds` = "6 minutes") =>
  Effect.zipRight(TestClock.adjust(by), Fiber.await(fiber))

const seqIds = (http: Http, path: string) =>
  Effect.map(http.requestsTo(path), (requests) => requests.map((request) => bodyOf(request)["seq_id"]))

describe("the chunks of a pass", () => {
  it.scoped("go at once, the first one last, and what follows waits for all of them", () =>
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

  it.scoped("go one after the other when the service wants it so", () =>
    Effect.gen(function* () {
      const { http } = yield* run(
        { "/client/config": json({ fwdbwd_max_chunk_len: 1, parallel_fwdbwd_chunks: false }) },
        (training) => Effect.flatMap(training.forwardBackward(data, "cross_entropy"), Fiber.join)
      )
      assert.deepStrictEqual(yield* seqIds(http, "/forward_backward"), [1, 2, 3])
    })
  )

  it.scoped(
    "of which one cannot be sent break the client before the first is sent: nothing of the pass is applied",
    () =>
      Effect.gen(function* () {
        const { http, value } = yield* run(
          {
            ...chunks,
            "/forward_backward": (request) =>
              bodyOf(request)["seq_id"] === 3 ? error(403) : json({ request_id: "ForwardBackward:2" })
          },
          (training) =>
            Effect.gen(function* () {
              const pass = yield* training.forwardBackward(data, "cross_entropy")
              const step = yield* training.optimStep()
              return [yield* Fiber.await(pass), yield* Fiber.await(step)] as const
            })
        )
        assert.strictEqual(failure(value[0])?._tag, "PermissionDenied")
        const broken = failure(value[1])
        assert.strictEqual(broken?._tag, "ClientBroken")
        assert.include(broken?.message, "forwardBackward (seq_id 3)")
        assert.isFalse((yield* seqIds(http, "/forward_backward")).includes(1))
        assert.strictEqual((yield* http.requestsTo("/optim_step")).length, 0)
      })
  )

  it.scoped("that change no training are all sent although one is refused, so that no number is missing", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        {
          ...chunks,
          "/forward_backward": (request) =>
            bodyOf(request)["seq_id"] === 2 ? error(403) : json({ request_id: "ForwardBackward:1" })
        },
        (training) =>
          Effect.gen(function* () {
            const pass = yield* training.forward(data, "cross_entropy")
            const step = yield* training.optimStep()
            return [yield* Fiber.await(pass), yield* Fiber.await(step)] as const
          })
      )
      assert.strictEqual(failure(value[0])?._tag, "PermissionDenied")
      assert.isTrue(Exit.isSuccess(value[1]))
      assert.deepStrictEqual((yield* seqIds(http, "/forward_backward")).toSorted(), [1, 2, 3])
      assert.deepStrictEqual(yield* seqIds(http, "/optim_step"), [4])
    })
  )

  it.scoped("that have been sent in part are sent whole although the scope closes", () =>
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
        assert.strictEqual(failure(yield* Fiber.await(pass))?._tag, "ClientClosed")
        assert.strictEqual(failure(yield* Fiber.await(step))?._tag, "ClientClosed")
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
  it.scoped("that dies breaks the client with a typed error, for a number is missing", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run({ "/optim_step": Effect.die("odd") as never }, (training) =>
        Effect.gen(function* () {
          const step = yield* training.optimStep()
          const saved = yield* training.saveState("a")
          return [yield* Fiber.await(step), yield* Fiber.await(saved)] as const
        })
      )
      assert.isTrue(Exit.isFailure(value[0]) && value[0].cause._tag === "Die")
      assert.strictEqual(failure(value[1])?._tag, "ClientBroken")
      assert.strictEqual((yield* http.requestsTo("/save_weights")).length, 0)
    })
  )

  it.scoped("whose answer cannot be read is sent again with its number", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        { "/optim_step": [ScriptedHttpClient.text("<html>"), json(null), json({ request_id: "OptimStep" })] },
        (training) => Effect.flatMap(training.optimStep(), (step) => settle(step, "10 seconds"))
      )
      assert.isTrue(Exit.isSuccess(value))
      assert.deepStrictEqual(yield* seqIds(http, "/optim_step"), [1, 1, 1])
    })
  )

  it.scoped("keeps its place whoever waits, gives up, or asks again", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run({}, (training) =>
        Effect.gen(function* () {
          const futures: Array<Fiber.Fiber<unknown, unknown>> = []
          for (let i = 0; i < 20; i++) {
            futures.push(i % 2 === 0 ? yield* training.optimStep() : yield* training.saveState(`s${i}`))
          }
          // some waiters leave at once
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

describe("a save", () => {
  const checkpoint = (tinker_path: string) => ({
    checkpoint_id: tinker_path.split("/").slice(-2).join("/"),
    checkpoint_type: tinker_path.includes("sampler") ? "sampler" : "training",
    time: "2026-01-01T00:00:00Z",
    tinker_path
  })
  const listing = (...paths: ReadonlyArray<string>) => json({ checkpoints: paths.map(checkpoint) })
  const runs = "/training_runs/model-1/checkpoints"

  it.scoped("whose answer was lost is recognised by the checkpoint that it made", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        {
          "/save_weights": [ScriptedHttpClient.connectionLost, error(409)],
          "/save_weights_for_sampler": [error(502), error(409)],
          [runs]: [
            listing("tinker://model-1/weights/a"),
            listing("tinker://model-1/weights/a"),
            // so do some services write it
            listing("tinker://model-1/a")
          ]
        },
        (training) =>
          Effect.gen(function* () {
            const saved = yield* training.saveState("a")
            const sampler = yield* training.saveWeightsForSampler("a")
            return [yield* settle(saved, "10 seconds"), yield* settle(sampler, "10 seconds")] as const
          })
      )
      assert.deepStrictEqual(value[0], Exit.succeed({ path: "tinker://model-1/weights/a", type: "save_weights" }))
      assert.deepStrictEqual(value[1], Exit.succeed({ path: "tinker://model-1/sampler_weights/a" }))
      const saves = yield* http.requestsTo("/save_weights")
      assert.strictEqual(new Set(saves.map((save) => save.text)).size, 1, "the same request each time")
      assert.strictEqual((yield* http.requestsTo("/save_weights_for_sampler")).length, 3)
    })
  )

  it.scoped("that takes a name which exists fails at once, and says what to do", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        {
          "/save_weights": [
            json({ request_id: "SaveWeights" }),
            ScriptedHttpClient.connectionLost,
            error(409, {}, { detail: "exists" })
          ],
          [runs]: listing("tinker://model-1/weights/a")
        },
        (training) =>
          Effect.gen(function* () {
            yield* Fiber.join(yield* training.saveState("a"))
            const again = yield* settle(yield* training.saveState("a"), "2 seconds")
            return again
          })
      )
      const conflict = failure(value)
      assert.strictEqual(conflict?._tag, "Conflict")
      assert.include(conflict?.message, "overwrite: true")
      assert.strictEqual((yield* http.requestsTo("/save_weights")).length, 3)
      assert.strictEqual((yield* http.requestsTo(runs)).length, 0)
    })
  )

  it.scoped("that is refused though no checkpoint is there gives up within a minute", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        { "/save_weights": [ScriptedHttpClient.connectionLost, error(409)], [runs]: listing() },
        (training) => Effect.flatMap(training.saveState("a"), (saved) => settle(saved, "60 seconds"))
      )
      assert.strictEqual(failure(value)?._tag, "Conflict")
      assert.isAtMost((yield* http.requestsTo("/save_weights")).length, 7)
    })
  )
})

describe("a future", () => {
  const created = json({ model_id: "m" })
  const step = (
    polls: ReadonlyArray<ScriptedHttpClient.Step>,
    by: `${number} minutes` | `${number} seconds`,
    limit?: `${number} seconds`
  ) =>
    run({ "/retrieve_future": [created, ...polls] }, (training) =>
      Effect.flatMap(
        limit === undefined ? training.optimStep() : TinkerFuture.withNoProgressLimit(training.optimStep(), limit),
        (future) => settle(future, by)
      )
    )
  const times = (http: Http) =>
    Effect.map(http.requestsTo("/retrieve_future"), (polls) =>
      polls.slice(1).map((poll) => Math.round(poll.time - polls[1]!.time))
    )

  it.scoped("takes nothing for a result that is none", () =>
    Effect.gen(function* () {
      const pending = yield* step([json({ status: "pending" }), json({ metrics: null })], "5 seconds")
      assert.isTrue(Exit.isSuccess(pending.value))
      for (const body of [null, [], 7, "text", { status: "complete_metadata" }, { status: "odd" }]) {
        const { value } = yield* step([json({ status: "complete_metadata" }), json(body)], "2 seconds")
        assert.strictEqual(failure(value)?._tag, "DecodeError", JSON.stringify(body))
        assert.strictEqual(failure(value)?.requestId, "OptimStep")
      }
      // nested deeper than what can be shown
      const deep = ScriptedHttpClient.text(`{"metrics":${"[".repeat(20_000)}${"]".repeat(20_000)}}`)
      assert.strictEqual(failure((yield* step([deep], "2 seconds")).value)?._tag, "DecodeError")
    })
  )

  it.scoped("fails as the service says, in either form", () =>
    Effect.gen(function* () {
      for (const [body, category] of [
        [{ error: "bad data", category: "user" }, "user"],
        [{ error: { reason: "bad data" }, category: "server" }, "server"],
        [{ error: "bad data", category: "User" }, "unknown"]
      ] as const) {
        const { value } = yield* step([json(body)], "1 seconds")
        const failed = failure(value)
        assert.strictEqual(failed?._tag, "RequestFailed")
        assert.include(failed?.message, "bad data")
        assert.strictEqual(failed?.category, category)
      }
      const asStatus = yield* step([error(400, {}, { detail: "out of range" })], "20 seconds")
      assert.strictEqual(failure(asStatus.value)?._tag, "RequestFailed")
      assert.include(failure(asStatus.value)?.message, "out of range")
      assert.strictEqual((yield* times(asStatus.http)).length, 4)
    })
  )

  it.scoped("backs off where the service fails or limits, as it asks, and not while it holds", () =>
    Effect.gen(function* () {
      const { http, value } = yield* step(
        [
          error(500),
          error(503),
          error(429, { "retry-after": "3" }),
          ScriptedHttpClient.after("20 seconds", error(408)),
          error(500),
          json({ metrics: null })
        ],
        "40 seconds"
      )
      assert.isTrue(Exit.isSuccess(value))
      const at = yield* times(http)
      const gaps = at.slice(1).map((time, i) => time - at[i]!)
      const between = (gap: number, low: number, high: number) =>
        assert.isTrue(gap >= low && gap <= high, `${gap} in ${low} to ${high}`)
      between(gaps[0]!, 750, 1000)
      between(gaps[1]!, 1500, 2000)
      between(gaps[2]!, 3000, 3000)
      between(gaps[3]!, 20_000, 20_001)
      between(gaps[4]!, 750, 1000)
    })
  )

  it.scoped("that does not get on fails with the last state of the queue", () =>
    Effect.gen(function* () {
      const held = ScriptedHttpClient.after(
        "20 seconds",
        json({ type: "try_again", queue_state: "paused_capacity", queue_state_reason: "no machines" })
      )
      const { value } = yield* step([held], "2 minutes", "60 seconds")
      const stuck = failure(value)
      assert.strictEqual(stuck?._tag, "NoProgress")
      assert.include(stuck?.message, "paused_capacity (no machines)")
      assert.strictEqual(stuck?.requestId, "OptimStep")
    })
  )

  it.scoped("reads the queue's state from a 408 as well", () =>
    Effect.gen(function* () {
      const held = ScriptedHttpClient.after("20 seconds", error(408, {}, { queue_state: "paused_rate_limit" }))
      const { value } = yield* run({ "/retrieve_future": [created, held] }, (training) =>
        Effect.gen(function* () {
          yield* training.optimStep()
          yield* TestClock.adjust("21 seconds")
          return yield* training.queueState.current
        })
      )
      assert.strictEqual(value.state, "paused_rate_limit")
    })
  )

  it.scoped("of a large result waits for room, which all clients of the service share", () =>
    Effect.gen(function* () {
      const large = json({ status: "complete_metadata", response_payload_size: 60 })
      const http = yield* scripted.make({
        "/client/config": json({ inflight_response_bytes_semaphore_size: 50 }),
        "/retrieve_future": (request) => {
          const { allow_metadata_only, request_id } = bodyOf(request)
          if (request_id !== "OptimStep") return json({ model_id: "m" })
          return allow_metadata_only === true ? large : ScriptedHttpClient.after("10 seconds", json({ metrics: null }))
        }
      })
      yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const clients = yield* Effect.forEach(
          [1, 2, 3],
          () => service.createLoraTrainingClient({ base_model: "base" }),
          { concurrency: "unbounded" }
        )
        const futures = yield* Effect.forEach(clients, (training) => training.optimStep())
        yield* TestClock.adjust("9 seconds")
        const downloads = Effect.map(
          http.requestsTo("/retrieve_future"),
          (polls) => polls.filter((poll) => bodyOf(poll)["allow_metadata_only"] === false).length
        )
        assert.strictEqual(yield* downloads, 1, "60 bytes pass alone")
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* downloads, 2)
        yield* TestClock.adjust("20 seconds")
        yield* Effect.forEach(futures, Fiber.join)
      }).pipe(Effect.scoped, Effect.provide(connect(http)))
    }).pipe(Effect.scoped)
  )
})
