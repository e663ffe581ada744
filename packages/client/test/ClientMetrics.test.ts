import * as ClientMetrics from "@effect-tinker/client/ClientMetrics"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Metric } from "effect"
import { connect, json, scripted } from "./utils/services.ts"
import { errorResponse, results } from "./utils/trainingRun.ts"

const ofOptimStep = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>) =>
  Metric.tagged(metric, "operation", "TrainingClient.optimStep")

/** The metrics of `optimStep`. */
const readMetrics = Effect.gen(function* () {
  const operations = ofOptimStep(ClientMetrics.operations)
  const failures = ofOptimStep(ClientMetrics.failures)
  return {
    succeeded: (yield* Metric.value(Metric.tagged(operations, "outcome", "success"))).count,
    failed: (yield* Metric.value(Metric.tagged(operations, "outcome", "failure"))).count,
    requestFailed: (yield* Metric.value(Metric.tagged(failures, "error", "RequestFailed"))).count,
    polls: (yield* Metric.value(ofOptimStep(ClientMetrics.polls))).count,
    retries: (yield* Metric.value(ofOptimStep(ClientMetrics.retries))).count,
    inFlight: (yield* Metric.value(ofOptimStep(ClientMetrics.inFlight))).value,
    durations: (yield* Metric.value(ofOptimStep(ClientMetrics.duration))).count,
    queueTimes: (yield* Metric.value(ofOptimStep(ClientMetrics.queueTime))).count
  }
})

describe("the metrics of an operation", () => {
  it.scopedLive("count its outcomes, errors, polls and retries, and measure its times", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/optim_step": [
          errorResponse(503, { "retry-after-ms": "1" }),
          json({ request_id: "first" }),
          json({ request_id: "second" })
        ],
        "/retrieve_future": [results, results, json({ error: "out of memory", category: "server" })]
      })
      const before = yield* readMetrics
      yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const training = yield* service.createLoraTrainingClient({ base_model: "base" })
        yield* Fiber.join(yield* training.optimStep())
        const failing = yield* training.optimStep()
        assert.strictEqual((yield* readMetrics).inFlight - before.inFlight, 1)
        assert.isTrue(Exit.isFailure(yield* Fiber.await(failing)))
      }).pipe(Effect.scoped, Effect.provide(connect(http)))
      const after = yield* readMetrics
      const increase = Object.fromEntries(
        Object.entries(after).map(([name, value]) => [name, value - before[name as keyof typeof before]])
      )
      assert.deepStrictEqual(increase, {
        succeeded: 1,
        failed: 1,
        requestFailed: 1,
        polls: 2,
        retries: 1,
        inFlight: 0,
        durations: 2,
        queueTimes: 2
      })
    })
  )
})
