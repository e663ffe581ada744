import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as Training from "@effect-tinker/api/Training"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema, TestClock } from "effect"
import { baseUrl, bodies, connect, embedded, json, key, scripted } from "../utils/services.ts"

const datum = (i: number) => Datum.fromPromptCompletion([1, 2 + (i % 5)], [3, 4])
const decodeTraining = Schema.decodeUnknownSync(Training.ForwardBackwardRequest)

for (const service of [scripted, embedded]) {
  describe(`the training loop against ${service.name}`, () => {
    it.effect("submits, awaits and saves, with requests that follow the contract", () =>
      Effect.gen(function* () {
        const http = yield* service.make()
        const data = Array.from({ length: 1025 }, (_, i) => datum(i))
        const program = Effect.gen(function* () {
          const client = yield* ServiceClient.ServiceClient
          const training = yield* client.createLoraTrainingClient({ base_model: service.baseModel, rank: 16, seed: 7 })
          const forward = yield* training.forwardBackward(data, "cross_entropy")
          const update = yield* training.optimStep({ learning_rate: 0.001 })
          const saved = yield* training.saveWeightsForSampler("first")
          const [output, step] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
          yield* TestClock.adjust("25 seconds")
          return {
            sessionId: client.sessionId,
            modelId: training.modelId,
            seqIds: [forward.seqIds, update.seqIds, saved.seqIds],
            output,
            step,
            saved: yield* Fiber.join(saved)
          }
        })
        const result = yield* program.pipe(Effect.scoped, Effect.provide(connect(http)))

        const [session] = yield* bodies(http, "/create_session")
        assert.deepStrictEqual(session!["tags"], [])
        assert.strictEqual(session!["type"], "create_session")
        const [model] = yield* bodies(http, "/create_model")
        assert.deepStrictEqual(model, {
          session_id: result.sessionId,
          model_seq_id: 0,
          base_model: service.baseModel,
          lora_config: { rank: 16, seed: 7, train_attn: true, train_mlp: true, train_unembed: true },
          type: "create_model"
        })

        assert.deepStrictEqual(result.seqIds, [[1, 2], [3], [4]])
        // the first chunk is sent last, so that the service has the whole batch by then
        const arrived = (yield* bodies(http, "/forward_backward")).map((body) => decodeTraining(body))
        assert.deepStrictEqual(
          arrived.map((pass) => pass.seq_id),
          [2, 1]
        )
        const passes = arrived.toReversed()
        assert.deepStrictEqual(
          passes.map((pass) => [
            pass.model_id,
            pass.seq_id,
            pass.forward_backward_input.data.length,
            pass.forward_backward_input.loss_fn
          ]),
          [
            [result.modelId, 1, 1024, "cross_entropy"],
            [result.modelId, 2, 1, "cross_entropy"]
          ]
        )
        const sent = passes.flatMap((pass) => pass.forward_backward_input.data)
        assert.deepStrictEqual(
          sent.map((datum): ReadonlyArray<number> => Array.from(ModelInput.toTokens(datum.model_input))),
          data.map((datum): ReadonlyArray<number> => Array.from(ModelInput.toTokens(datum.model_input)))
        )
        assert.deepStrictEqual(TensorData.toNumbers(sent[1024]!.loss_fn_inputs["weights"]!), [0, 1, 1])
        assert.deepStrictEqual(yield* bodies(http, "/optim_step"), [
          {
            adam_params: {
              learning_rate: 0.001,
              beta1: 0.9,
              beta2: 0.95,
              eps: 1e-12,
              weight_decay: 0,
              grad_clip_norm: 0
            },
            model_id: result.modelId,
            seq_id: 3,
            type: "optim_step"
          }
        ])
        assert.deepStrictEqual(yield* bodies(http, "/save_weights_for_sampler"), [
          { model_id: result.modelId, path: "first", seq_id: 4, type: "save_weights_for_sampler" }
        ])
        assert.strictEqual(result.saved.path, `tinker://${result.modelId}/sampler_weights/first`)

        if (service === scripted) {
          assert.strictEqual(result.output.metrics["loss:mean"], 2.5)
          assert.strictEqual(result.output.metrics["grad:sum"], 30)
          assert.deepStrictEqual(
            result.output.loss_fn_outputs.map((output) => output["logprobs"]!.data[0]),
            [-1, -2, -3, -4]
          )
        } else {
          assert.strictEqual(result.output.loss_fn_outputs.length, 1025)
          assert.isAbove(result.output.metrics["loss:sum"]!, 0)
        }
        assert.instanceOf(result.output.loss_fn_outputs[0]!["logprobs"]!.data, Float32Array)

        const requests = yield* http.requests
        const keys = new Set<string>()
        for (const request of requests) {
          assert.isTrue(request.url.startsWith(`${baseUrl}/api/v1/`), request.url)
          assert.strictEqual(request.headers["x-api-key"], key)
          assert.match(request.headers["user-agent"]!, /^effect-tinker\//)
          assert.strictEqual(
            request.headers["content-type"],
            request.path === "/forward_backward" ? "application/x-protobuf" : "application/json"
          )
          assert.strictEqual(request.headers["x-stainless-retry-count"], "0")
          keys.add(request.headers["x-idempotency-key"]!)
        }
        assert.strictEqual(keys.size, requests.length, "each call has its own idempotency key")
        const polls = yield* http.requestsTo("/retrieve_future")
        assert.includeMembers(
          polls.map((poll) => poll.headers["x-tinker-request-type"]),
          ["CreateModel", "ForwardBackward", "OptimStep", "SaveWeightsForSampler"]
        )

        // two heartbeats in 25 s, and none after the scope has closed
        assert.strictEqual((yield* http.requestsTo("/session_heartbeat")).length, 2)
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual((yield* http.requests).length, requests.length)
      }).pipe(Effect.scoped)
    )

    it.effect("sends a heartbeat exactly every ten seconds", () =>
      Effect.gen(function* () {
        const http = yield* service.make()
        const program = Effect.gen(function* () {
          const client = yield* ServiceClient.ServiceClient
          yield* TestClock.adjust("95 seconds")
          return client.sessionId
        })
        const sessionId = yield* Effect.provide(program, connect(http))
        const beats = yield* http.requestsTo("/session_heartbeat")
        assert.deepStrictEqual(
          beats.map((beat) => beat.time),
          [10, 20, 30, 40, 50, 60, 70, 80, 90].map((seconds) => seconds * 1000)
        )
        assert.deepStrictEqual(beats[0]!.body, { session_id: sessionId, type: "session_heartbeat" })
      }).pipe(Effect.scoped)
    )

    it.effect("keeps two clients apart, each with its own key and URL", () =>
      Effect.gen(function* () {
        const sides = [
          { key: "tml-left", baseUrl: "http://left.test" },
          { key: "tml-right", baseUrl: "http://right.test/sub/" }
        ]
        const https = yield* Effect.forEach(sides, () => service.make())
        const program = Effect.gen(function* () {
          const client = yield* ServiceClient.ServiceClient
          const training = yield* client.createLoraTrainingClient({ base_model: service.baseModel })
          return yield* Fiber.join(yield* training.optimStep())
        })
        yield* Effect.forEach(
          sides,
          (side, i) => program.pipe(Effect.scoped, Effect.provide(connect(https[i]!, side))),
          { concurrency: "unbounded" }
        )
        for (const [i, side] of sides.entries()) {
          const requests = yield* https[i]!.requests
          assert.isAbove(requests.length, 4)
          for (const request of requests) {
            assert.strictEqual(request.headers["x-api-key"], side.key)
            assert.isTrue(request.url.startsWith(`${side.baseUrl.replace(/\/$/, "")}/api/v1/`), request.url)
          }
        }
      }).pipe(Effect.scoped)
    )

    it.effect("keeps the order of calls when an operation is submitted before the response to the last one", () =>
      Effect.gen(function* () {
        const http = yield* service.make()
        const program = Effect.gen(function* () {
          const client = yield* ServiceClient.ServiceClient
          const training = yield* client.createLoraTrainingClient({ base_model: service.baseModel })
          const futures = []
          for (let i = 0; i < 3; i++) {
            const seqIds = [
              yield* training.forward([datum(i)], "cross_entropy"),
              yield* training.optimStep({ learning_rate: 0.1 })
            ]
            futures.push(...seqIds)
          }
          yield* training.saveState("state")
          yield* Fiber.joinAll([futures[1]!, futures[3]!, futures[5]!])
        })
        yield* program.pipe(Effect.scoped, Effect.provide(connect(http)))
        const order = (yield* http.requests)
          .filter((request) => ["/forward_backward", "/optim_step", "/save_weights"].includes(request.path))
          .map((request) => [request.path, (request.body as { seq_id: number }).seq_id])
        assert.deepStrictEqual(order.slice(0, 6), [
          ["/forward_backward", 1],
          ["/optim_step", 2],
          ["/forward_backward", 3],
          ["/optim_step", 4],
          ["/forward_backward", 5],
          ["/optim_step", 6]
        ])
      }).pipe(Effect.scoped)
    )

    it.effect("joins a future many times, and is not affected when a fiber that joins it is interrupted", () =>
      Effect.gen(function* () {
        const http = yield* service.make()
        const program = Effect.gen(function* () {
          const client = yield* ServiceClient.ServiceClient
          const training = yield* client.createLoraTrainingClient({ base_model: service.baseModel })
          const future = yield* training.forwardBackward([datum(0)], "cross_entropy")
          const waiter = yield* Effect.fork(Fiber.join(future))
          yield* Fiber.interrupt(waiter)
          const all = yield* Effect.all([Fiber.join(future), Fiber.join(future)])
          const again = yield* Effect.all([future, Fiber.join(future)], { concurrency: "unbounded" })
          return [...all, ...again]
        })
        const outputs = yield* program.pipe(Effect.scoped, Effect.provide(connect(http)))
        assert.strictEqual(outputs.length, 4)
        assert.isTrue(outputs.every((output) => output === outputs[0]))
        assert.strictEqual((yield* http.requestsTo("/forward_backward")).length, 1)
      }).pipe(Effect.scoped)
    )

    it.effect("fails the future of a batch when a chunk fails, and continues with the next operation", () =>
      Effect.gen(function* () {
        let second: string | undefined
        const failed = json({ error: "chunk 2 broke", category: "server" })
        const http = yield* service.make({
          "/retrieve_future": (request) => {
            const requestId = (request.body as { request_id: string }).request_id
            if (requestId.endsWith(":2")) {
              second = requestId
              return failed
            }
            if (requestId === "CreateModel") return json({ model_id: "model-1" })
            if (requestId.endsWith(":0")) return json({ model_id: requestId.slice(0, -2) })
            return /^OptimStep$|:3$/.test(requestId)
              ? json({ metrics: { done: 1 } })
              : json({ loss_fn_output_type: "x", loss_fn_outputs: [], metrics: {} })
          }
        })
        const program = Effect.gen(function* () {
          const client = yield* ServiceClient.ServiceClient
          const training = yield* client.createLoraTrainingClient({ base_model: service.baseModel })
          const data = Array.from({ length: 1025 }, (_, i) => datum(i))
          const forward = yield* training.forwardBackward(data, "cross_entropy")
          const update = yield* training.optimStep()
          const exit = yield* Fiber.await(forward)
          return { exit, step: yield* Fiber.join(update) }
        })
        const { exit, step } = yield* program.pipe(Effect.scoped, Effect.provide(connect(http)))
        const error = Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error : undefined
        assert.strictEqual(error?._tag, "RequestFailed")
        assert.strictEqual(error?.category, "server")
        assert.strictEqual(error?.requestId, second)
        assert.include(error?.message, "chunk 2 broke")
        assert.deepStrictEqual(step, { metrics: { done: 1 } })
      }).pipe(Effect.scoped)
    )
  })
}
