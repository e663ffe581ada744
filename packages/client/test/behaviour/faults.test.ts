import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Exit, Fiber, Logger, Scope, Stream, TestClock } from "effect"
import { connect, json, key, scripted } from "../utils/services.ts"
import { failureOf } from "../utils/exits.ts"
import { errorResponse } from "../utils/trainingRun.ts"

const datum = Datum.fromPromptCompletion([1, 2], [3])
type Steps = ScriptedHttpClient.Step | ReadonlyArray<ScriptedHttpClient.Step>

const run = <A, E>(
  overrides: Record<string, Steps>,
  program: (training: TrainingClient.TrainingClient) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function* () {
    const http = yield* scripted.make(overrides)
    const value = yield* Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      return yield* program(yield* service.createLoraTrainingClient({ base_model: "base" }))
    }).pipe(Effect.scoped, Effect.provide(connect(http)))
    return { http, value }
  }).pipe(Effect.scoped)

// joins a fiber while the clock moves far enough for any policy
const settle = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.gen(function* () {
    const waiter = yield* Effect.fork(Fiber.await(fiber))
    yield* TestClock.adjust("20 minutes")
    return yield* Fiber.join(waiter)
  })

describe("retries", () => {
  it.scoped("send the same request, with its sequence number and idempotency key, until it succeeds", () =>
    Effect.gen(function* () {
      const { http } = yield* run(
        {
          "/optim_step": [
            errorResponse(500),
            ScriptedHttpClient.connectionLost,
            errorResponse(429, { "retry-after": "7" }),
            ScriptedHttpClient.empty({ status: 400 }),
            json({ request_id: "OptimStep" })
          ]
        },
        (training) => Effect.flatMap(training.optimStep(), settle)
      )
      const attempts = yield* http.requestsTo("/optim_step")
      assert.deepStrictEqual(
        attempts.map((attempt) => attempt.headers["x-stainless-retry-count"]),
        ["0", "1", "2", "3", "4"]
      )
      assert.strictEqual(new Set(attempts.map((attempt) => attempt.headers["x-idempotency-key"])).size, 1)
      assert.strictEqual(new Set(attempts.map((attempt) => attempt.text)).size, 1)
      const gaps = attempts.slice(1).map((attempt, i) => attempt.time - attempts[i]!.time)
      assert.isTrue(gaps[0]! >= 375 && gaps[0]! <= 500, `${gaps[0]}`)
      assert.isTrue(gaps[1]! >= 750 && gaps[1]! <= 1000, `${gaps[1]}`)
      assert.closeTo(gaps[2]!, 7000, 0.001, "the server's wish is obeyed")
    })
  )

  it.scoped("obey x-should-retry rather than the status", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        { "/get_info": [errorResponse(500, { "x-should-retry": "false" })] },
        (training) => Effect.exit(training.getInfo)
      )
      assert.strictEqual(failureOf(value)?._tag, "ServerError")
      assert.strictEqual((yield* http.requestsTo("/get_info")).length, 1)
      const again = yield* run(
        {
          "/get_info": [errorResponse(404, { "x-should-retry": "true", "retry-after-ms": "20" }), errorResponse(403)]
        },
        (training) => Effect.flatMap(Effect.fork(training.getInfo), settle)
      )
      assert.strictEqual(failureOf(again.value)?._tag, "PermissionDenied")
    })
  )

  it.scoped("stop after the policy's total time, and the caller chooses the policy", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run({ "/get_info": errorResponse(503) }, (training) =>
        training.getInfo.pipe(
          RetryPolicy.withRetryPolicy({ first: "1 second", cap: "1 second", total: "5 seconds" }),
          Effect.fork,
          Effect.flatMap(settle)
        )
      )
      assert.strictEqual(failureOf(value)?._tag, "ServerError")
      const times = (yield* http.requestsTo("/get_info")).map((attempt) => attempt.time)
      assert.isTrue(times.length >= 5 && times.length <= 8, `${times.length} attempts`)
    })
  )

  it.scoped("follow an attempt that times out", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        { "/get_info": [ScriptedHttpClient.silence, errorResponse(400)] },
        (training) => Effect.flatMap(Effect.fork(training.getInfo), settle)
      )
      assert.strictEqual(failureOf(value)?._tag, "BadRequest")
      const [hung] = yield* http.requestsTo("/get_info")
      assert.strictEqual(hung!.outcome, "interrupted")
    })
  )
})

describe("a submission", () => {
  it.scoped(
    "breaks the client when it is in doubt: no step after it is sent, and each later future fails with the reason",
    () =>
      Effect.gen(function* () {
        const { http, value } = yield* run(
          { "/forward_backward": errorResponse(409, { "x-request-id": "req-9" }) },
          (training) =>
            Effect.gen(function* () {
              const forward = yield* training.forwardBackward([datum], "cross_entropy")
              const update = yield* training.optimStep()
              const saved = yield* training.saveState("a")
              return yield* Effect.all([Fiber.await(forward), Fiber.await(update), Fiber.await(saved)])
            })
        )
        const [forward, update, saved] = value.map((exit) => failureOf<unknown, unknown>(exit)) as Array<{
          _tag: string
          requestId?: string
          message: string
        }>
        assert.strictEqual(forward!._tag, "Conflict")
        assert.strictEqual(forward!.requestId, "req-9")
        assert.strictEqual(update!._tag, "ClientBroken")
        assert.include(update!.message, "forwardBackward (seq_id 1)")
        assert.isUndefined(saved, "a save is still sent")
        assert.strictEqual((yield* http.requestsTo("/optim_step")).length, 0)
        assert.strictEqual((yield* http.requestsTo("/save_weights")).length, 1)
      })
  )

  it.scoped("does not break the client when it is a rejected save, which changes no training", () =>
    Effect.gen(function* () {
      const { value } = yield* run({ "/save_weights": errorResponse(409) }, (training) =>
        Effect.gen(function* () {
          const saved = yield* training.saveState("taken")
          const update = yield* training.optimStep()
          return [yield* Fiber.await(saved), yield* Fiber.await(update)] as const
        })
      )
      assert.strictEqual(failureOf(value[0])?._tag, "Conflict")
      assert.isTrue(Exit.isSuccess(value[1]))
    })
  )

  it.scoped("is still sent when its caller is interrupted", () =>
    Effect.gen(function* () {
      const { http } = yield* run(
        {
          "/forward_backward": () =>
            Effect.delay(Effect.succeed(json({ request_id: "ForwardBackward:1" })), "5 seconds")
        },
        (training) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.fork(
              Effect.flatMap(training.forwardBackward([datum], "cross_entropy"), Fiber.join)
            )
            yield* TestClock.adjust("1 second")
            yield* Fiber.interrupt(fiber)
            const update = yield* training.optimStep()
            yield* TestClock.adjust("10 seconds")
            yield* Fiber.join(update)
          })
      )
      const [forward] = yield* http.requestsTo("/forward_backward")
      assert.strictEqual(forward!.outcome, "responded")
      assert.strictEqual((yield* http.requestsTo("/optim_step")).length, 1)
    })
  )
})

describe("a forward or backward pass", () => {
  const sent = (http: ScriptedHttpClient.ScriptedHttpClient) =>
    Effect.map(http.requests, (requests) =>
      requests
        .filter(({ path }) => path.startsWith("/forward"))
        .map(({ body, headers, path }) => [
          path,
          headers["content-type"],
          (body as { seq_id: number; forward_only?: boolean }).seq_id,
          (body as { forward_only?: boolean }).forward_only
        ])
    )

  it.scoped("is sent as JSON, with the same sequence number, to a service that rejects protobuf", () =>
    Effect.gen(function* () {
      const json = "application/json"
      const accept: ScriptedHttpClient.Step = (request) =>
        request.headers["content-type"] === json
          ? ScriptedHttpClient.json({ request_id: "ForwardBackward:1" })
          : errorResponse(422, {}, { detail: "JSON only" })
      const { http, value } = yield* run({ "/forward_backward": accept, "/forward": accept }, (training) =>
        Effect.gen(function* () {
          const forward = yield* training.forward([datum], "cross_entropy")
          const backward = yield* training.forwardBackward([datum], "cross_entropy")
          return yield* Effect.all([Fiber.await(forward), Fiber.await(backward)])
        })
      )
      assert.isTrue(value.every(Exit.isSuccess))
      assert.deepStrictEqual(yield* sent(http), [
        ["/forward_backward", "application/x-protobuf", 1, true],
        ["/forward", json, 1, undefined],
        ["/forward_backward", json, 2, undefined]
      ])
    })
  )

  it.scoped("fails with the first reason if either encoding is rejected", () =>
    Effect.gen(function* () {
      const { value } = yield* run(
        {
          "/forward_backward": [
            errorResponse(400, {}, { detail: "first" }),
            errorResponse(400, {}, { detail: "second" })
          ]
        },
        (training) => Effect.flatMap(training.forwardBackward([datum], "cross_entropy"), Fiber.await)
      )
      assert.include(failureOf(value)?.message, "first")
    })
  )

  it.scoped("reads its result as protobuf where the service sends that", () =>
    Effect.gen(function* () {
      const output = {
        loss_fn_output_type: "ArrayRecord",
        loss_fn_outputs: [{ logprobs: TensorData.float32([-1.5, -2.5]) }],
        metrics: { "loss:sum": 4 }
      }
      const bytes = Either.getOrThrow(ProtobufCodec.encodeForwardBackwardOutput(output))
      const response = ScriptedHttpClient.bytes(bytes, { headers: { "content-type": ProtobufCodec.contentType } })
      const { http, value } = yield* run({ "/retrieve_future": [json({ model_id: "m" }), response] }, (training) =>
        Effect.flatMap(training.forwardBackward([datum], "cross_entropy"), Fiber.join)
      )
      assert.deepStrictEqual(TensorData.toNumbers(value.loss_fn_outputs[0]!["logprobs"]!), [-1.5, -2.5])
      assert.deepStrictEqual(value.metrics, { "loss:sum": 4 })
      const polls = yield* http.requestsTo("/retrieve_future")
      assert.deepStrictEqual(
        polls.map((poll) => poll.headers["accept"]),
        ["application/json", "application/x-protobuf, application/json"]
      )
      const broken = ScriptedHttpClient.bytes(bytes.slice(0, 9), {
        headers: { "content-type": ProtobufCodec.contentType }
      })
      const cut = yield* run({ "/retrieve_future": [json({ model_id: "m" }), broken] }, (training) =>
        Effect.flatMap(training.forwardBackward([datum], "cross_entropy"), settle)
      )
      assert.strictEqual(failureOf(cut.value)?._tag, "DecodeError")
      assert.strictEqual(
        (yield* cut.http.requestsTo("/retrieve_future")).length,
        1 + 4,
        "garbled responses are polled again"
      )
    })
  )
})

describe("futures", () => {
  it.scoped("are polled until they are done, without a tight loop", () =>
    Effect.gen(function* () {
      const pending = json({ type: "try_again", request_id: "OptimStep", queue_state: "active" })
      const created = json({ model_id: "model-1" })
      const { http, value } = yield* run(
        {
          "/retrieve_future": [
            created,
            ScriptedHttpClient.after("20 seconds", pending),
            ScriptedHttpClient.after("20 seconds", pending),
            errorResponse(500),
            errorResponse(408),
            pending,
            pending,
            json({ status: "complete_metadata", response_payload_size: 10 }),
            json({ metrics: { a: 1 } })
          ]
        },
        (training) => Effect.flatMap(training.optimStep(), settle)
      )
      assert.deepStrictEqual(value, Exit.succeed({ metrics: { a: 1 } }))
      const polls = (yield* http.requestsTo("/retrieve_future")).slice(1)
      assert.deepStrictEqual(
        polls.map((poll) => poll.headers["x-tinker-request-iteration"]),
        ["0", "1", "2", "3", "4", "5", "6", "7"]
      )
      assert.deepStrictEqual(
        polls.map((poll) => (poll.body as { allow_metadata_only: boolean }).allow_metadata_only),
        [true, true, true, true, true, true, true, false]
      )
      // the service held the first two, so they are repeated at once
      assert.closeTo(polls[1]!.time - polls[0]!.time, 20_000, 0.001)
      assert.closeTo(polls[2]!.time - polls[1]!.time, 20_000, 0.001)
      assert.isAbove(polls[3]!.time - polls[2]!.time, 700, "a failed poll backs off")
    })
  )

  it.scoped("are polled again immediately after a poll that timed out in the client", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        {
          "/retrieve_future": [
            json({ model_id: "m" }),
            ScriptedHttpClient.silence,
            ScriptedHttpClient.silence,
            ScriptedHttpClient.after("30 seconds", errorResponse(408)),
            json({ metrics: null })
          ]
        },
        (training) => Effect.flatMap(training.optimStep(), settle)
      )
      assert.isTrue(Exit.isSuccess(value))
      const times = (yield* http.requestsTo("/retrieve_future")).slice(1).map(({ time }) => time)
      assert.deepStrictEqual(
        times.map((time) => (time - times[0]!) / 1000),
        [0, 45, 90, 120]
      )
    })
  )

  it.scoped("fail with the service's reason and the request id", () =>
    Effect.gen(function* () {
      const { value } = yield* run(
        { "/retrieve_future": [json({ model_id: "m" }), errorResponse(410, {}, { detail: "gone" })] },
        (training) => Effect.flatMap(training.optimStep(), Fiber.await)
      )
      const gone = failureOf(value)
      assert.strictEqual(gone?._tag, "FutureExpired")
      assert.strictEqual(gone?.requestId, "OptimStep")
      const odd = yield* run({ "/retrieve_future": [json({ model_id: "m" }), json({ path: 7 })] }, (training) =>
        Effect.flatMap(training.saveState("a"), Fiber.await)
      )
      const decode = failureOf(odd.value)
      assert.strictEqual(decode?._tag, "DecodeError")
      assert.include(decode?.message, "path")
    })
  )

  it.scoped("fail with ClientClosed when the client's scope closes", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/retrieve_future": [json({ model_id: "m" }), ScriptedHttpClient.silence]
      })
      const exit = yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const scope = yield* Scope.make()
        const training = yield* Scope.extend(service.createLoraTrainingClient({ base_model: "base" }), scope)
        const future = yield* training.optimStep()
        yield* TestClock.adjust("1 second")
        const waiter = yield* Effect.fork(Fiber.await(future))
        yield* Scope.close(scope, Exit.void)
        const late = yield* training.optimStep()
        return [yield* Fiber.join(waiter), yield* Fiber.await(late)] as const
      }).pipe(Effect.provide(connect(http)))
      assert.deepStrictEqual(
        exit.map((exit) => failureOf(exit)?._tag),
        ["ClientClosed", "ClientClosed"]
      )
      const polls = yield* http.requestsTo("/retrieve_future")
      assert.strictEqual(polls.at(-1)!.outcome, "interrupted")
    }).pipe(Effect.scoped)
  )

  it.scoped("have typed results for samples, and count their polls in a header", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({ "/create_sampling_session": json({ sampling_session_id: "sampler" }) })
      const replies = yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const sampling = yield* service.createSamplingClient({ base_model: "base" })
        return yield* Effect.forEach(
          [1, 2, 3],
          (token) => sampling.sample(ModelInput.fromTokens([token]), { sampling_params: { stop: ["x"] } }),
          { concurrency: "unbounded" }
        )
      }).pipe(Effect.provide(connect(http)))
      assert.deepStrictEqual(
        replies.map(({ sequences }) => [Array.from(sequences[0]!.tokens), sequences[0]!.stop_reason]),
        [1, 2, 3].map(() => [[7], "stop"])
      )
      const bodies = (yield* http.requestsTo("/asample")).map((request) => request.body as Record<string, unknown>)
      assert.deepStrictEqual(
        bodies.map((body) => body["seq_id"]),
        [0, 1, 2]
      )
      assert.deepStrictEqual(bodies[0], {
        num_samples: 1,
        prompt: { chunks: [{ type: "encoded_text", tokens: [1] }] },
        sampling_params: { max_tokens: 63, stop: ["x"], temperature: 1, top_k: -1, top_p: 1 },
        sampling_session_id: "sampler",
        seq_id: 0,
        prompt_logprobs: false,
        topk_prompt_logprobs: 0,
        type: "sample"
      })
    })
  )
})

describe("queue states", () => {
  const pending = (queue_state: string, queue_state_reason?: string) =>
    ScriptedHttpClient.after("20 seconds", json({ type: "try_again", queue_state, queue_state_reason }))

  it.scoped("are a stream and a current value, and are logged at most once a minute", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const { value } = yield* run(
        {
          "/retrieve_future": [
            json({ model_id: "m" }),
            ...Array.from({ length: 5 }, () => pending("paused_capacity", "no machines")),
            pending("some_new_state"),
            json({ metrics: null })
          ]
        },
        (training) =>
          Effect.gen(function* () {
            const seen = yield* Effect.fork(training.queueState.changes.pipe(Stream.take(4), Stream.runCollect))
            yield* TestClock.adjust(0)
            const future = yield* training.optimStep()
            yield* TestClock.adjust("50 seconds")
            const during = yield* training.queueState.current
            yield* settle(future)
            return { during, after: yield* training.queueState.current, seen: Array.from(yield* Fiber.join(seen)) }
          })
      ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      assert.deepStrictEqual(value.during, { state: "paused_capacity", reason: "no machines" })
      assert.strictEqual(value.after.state, "active")
      assert.deepStrictEqual(
        value.seen.map(({ state }) => state),
        ["active", "paused_capacity", "some_new_state", "active"]
      )
      assert.strictEqual(lines.length, 2, lines.join("\n"))
      assert.include(lines[0], "no machines")
    })
  )
})

describe("sessions", () => {
  it.scoped("survive missed heartbeats, and a service without client/config", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/client/config": errorResponse(404),
        "/session_heartbeat": [
          errorResponse(500),
          ScriptedHttpClient.connectionLost,
          ScriptedHttpClient.silence,
          json({})
        ]
      })
      yield* TestClock.adjust("65 seconds").pipe(
        Effect.flatMap(() => ServiceClient.ServiceClient),
        Effect.provide(connect(http))
      )
      const times = (yield* http.requestsTo("/session_heartbeat")).map(({ time }) => time / 1000)
      assert.deepStrictEqual(times, [10, 20, 30, 50, 60], "a beat that hangs is given up after ten seconds")
    })
  )

  it.scoped("show no key in any error", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({ "/create_session": errorResponse(401) })
      const failed = yield* Effect.flip(ServiceClient.ServiceClient.pipe(Effect.provide(connect(http))))
      assert.strictEqual(failed._tag, "Unauthorized")
      assert.include(failed.message, "TINKER_API_KEY")
      assert.notInclude(JSON.stringify(failed) + String(failed), key)
    })
  )
})
