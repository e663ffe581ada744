import * as Datum from "@effect-tinker/api/Datum"
import * as Engine from "@effect-tinker/server/Engine"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { monitorEventLoopDelay } from "node:perf_hooks"
import type { Worker } from "node:worker_threads"
import * as JaxEngine from "../src/JaxEngine.ts"
import * as NodeWorkerEngine from "../src/NodeWorkerEngine.ts"
import * as fixtures from "./utils/fixtures.ts"
import { adamParams, crossEntropy, sampleRequest, trainAll } from "./utils/requests.ts"

const name = "test/tiny-qwen3"
const options: JaxEngine.Options = {
  models: [{ name, directory: fixtures.path("tiny-qwen3") }],
  executor: fixtures.defaultExecutor
}
const lora_config = { rank: 4, seed: 7, ...trainAll }

const text = (length: number) => Array.from({ length }, (_, i) => (i * 29) % 259)
const batch = (datums: number, length: number): Engine.PassOptions =>
  crossEntropy(
    Array.from({ length: datums }, () => Datum.fromPromptCompletion(text(length).slice(0, 1), text(length).slice(1)))
  )

const sampleOptions = sampleRequest({
  prompt: [10, 11, 12],
  num_samples: 3,
  params: { max_tokens: 8, seed: 5, stop: [] },
  prompt_logprobs: true,
  topk_prompt_logprobs: 2
})

/** All results of an engine in the life of a model. */
const allResults = (engine: Engine.Service) =>
  Effect.gen(function* () {
    const model = yield* engine.createModel({ base_model: name, lora_config })
    const outputs: Array<unknown> = []
    const policy = Datum.make({
      model_input: [10, 11, 12, 13],
      loss_fn_inputs: { target_tokens: [11, 12, 13, 14], logprobs: [-5, -5.5, -5.6, -5.7], advantages: [1, -1, 2, 0] }
    })
    for (let i = 0; i < 3; i++) {
      outputs.push(yield* model.forwardBackward(batch(2, 9)))
      outputs.push(yield* model.forwardBackward({ data: [policy], loss_fn: "ppo", loss_fn_config: {} }))
      outputs.push(yield* model.optimStep({ ...adamParams, weight_decay: 0.1, grad_clip_norm: 1 }))
    }
    const adapter = yield* model.adapter
    const optimizer = yield* model.optimizer
    const sampler = yield* engine.createSampler({ base_model: name, adapter })
    outputs.push(adapter, optimizer, yield* sampler.sample(sampleOptions))
    yield* model.load(adapter, optimizer)
    outputs.push(yield* model.forward(batch(1, 5)))
    // arguments are copied, so the caller can still use them
    assert.isTrue(Object.values(adapter.weights).every(({ data }) => data.length > 0))
    return outputs
  })

/** The threads that start in the scope. */
const threads = Effect.acquireRelease(
  Effect.sync(() => {
    const started: Array<Worker> = []
    const add = (worker: Worker) => void started.push(worker)
    process.on("worker", add)
    return { started, stop: () => process.off("worker", add) }
  }),
  ({ stop }) => Effect.sync(stop)
).pipe(Effect.map(({ started }) => started))

/** A batch that takes far longer than the sleeps of the tests. */
const longBatch = batch(3000, 9)

layer(NodeWorkerEngine.layer({ ...options, maxTokensPerRun: 16 }), { excludeTestServices: true })(
  "NodeWorkerEngine",
  (it) => {
    it.scoped("returns the results of JaxEngine, equal to the bit", () =>
      Effect.gen(function* () {
        const remote = yield* Engine.Engine
        const local = yield* JaxEngine.make({ ...options, maxTokensPerRun: 16 })
        assert.deepStrictEqual(remote.models, local.models)
        assert.deepStrictEqual(yield* allResults(remote), yield* allResults(local))
      }).pipe(Effect.provide(NodeContext.layer))
    )

    it.scoped("draws missing seeds from the Random service of the caller", () =>
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        const { seed: _, ...unseeded } = lora_config
        const draw = Effect.gen(function* () {
          const model = yield* engine.createModel({ base_model: name, lora_config: unseeded })
          const sampler = yield* engine.createSampler({ base_model: name, adapter: undefined })
          const { seed: _, ...sampling_params } = sampleOptions.sampling_params
          return [(yield* model.adapter).lora_config.seed, yield* sampler.sample({ ...sampleOptions, sampling_params })]
        })
        const seeded = (seed: string) => Effect.withRandom(draw, Random.make(seed))
        assert.deepStrictEqual(yield* seeded("a"), yield* seeded("a"))
        assert.notDeepEqual(yield* seeded("a"), yield* seeded("b"))
      })
    )

    it.scoped("adds no gradient from a forwardBackward that is interrupted", () =>
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        const model = yield* engine.createModel({ base_model: name, lora_config })
        const noUpdate = { ...adamParams, learning_rate: 0 }
        const first = yield* model.forwardBackward(batch(1, 9))
        const { metrics } = yield* model.optimStep(noUpdate)
        const fiber = yield* Effect.fork(model.forwardBackward(longBatch))
        yield* Effect.sleep("50 millis")
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        assert.deepStrictEqual(yield* model.forwardBackward(batch(1, 9)), first)
        assert.deepStrictEqual((yield* model.optimStep(noUpdate)).metrics, metrics)
      })
    )

    it.scoped("lets others have their turn within an operation, with results equal to the bit", () =>
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        const create = engine.createModel({ base_model: name, lora_config })
        const [model, same, other] = [yield* create, yield* create, yield* create]
        const asked = yield* Deferred.make<void>()
        const gate = yield* Deferred.make<void>()
        const turn: Engine.Turn = {
          yield: () => Effect.zipRight(Deferred.succeed(asked, undefined), Deferred.await(gate))
        }
        const long = batch(150, 9)
        const inTurns = Effect.provideService(model.forwardBackward(long), Engine.CurrentTurn, turn)
        const fiber = yield* Effect.fork(inTurns)
        yield* Deferred.await(asked)
        yield* other.forwardBackward(batch(1, 9))
        assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(yield* Fiber.join(fiber), yield* same.forwardBackward(long))
        assert.deepStrictEqual(yield* model.optimStep(adamParams), yield* same.optimStep(adamParams))
      })
    )

    it.scoped("can be interrupted while others have their turn", () =>
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        const sampler = yield* engine.createSampler({ base_model: name, adapter: undefined })
        const asked = yield* Deferred.make<void>()
        const turn: Engine.Turn = { yield: () => Effect.zipRight(Deferred.succeed(asked, undefined), Effect.never) }
        const long = sampler.sample({ ...sampleOptions, num_samples: 600, prompt_logprobs: false })
        const fiber = yield* Effect.fork(Effect.provideService(long, Engine.CurrentTurn, turn))
        yield* Deferred.await(asked)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        yield* sampler.sample(sampleOptions)
      })
    )

    it.scoped("fails with the errors of JaxEngine", () =>
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        assert.include(
          yield* fixtures.userErrorReason(engine.createModel({ base_model: "test/none", lora_config })),
          "the base model test/none is not available"
        )
        const model = yield* engine.createModel({ base_model: name, lora_config })
        const wrong = model.forward({ ...batch(1, 5), loss_fn: "grpo" })
        assert.include(yield* fixtures.userErrorReason(wrong), "grpo is not supported: supported are cross_entropy")
      })
    )

    it.scoped("tells each token of a sample as it is sampled", () =>
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        const sampler = yield* engine.createSampler({ base_model: name, adapter: undefined })
        const told: Array<Engine.SampledToken> = []
        const options = {
          ...sampleOptions,
          topk_sample_logprobs: 2,
          onToken: (token: Engine.SampledToken) => void told.push(token)
        }
        const { sequences } = yield* sampler.sample(options)
        const ofSequence = (index: number) => told.filter((token) => token.index === index)
        sequences.forEach(({ logprobs, stop_reason, tokens, topk_logprobs }, index) => {
          const own = ofSequence(index)
          assert.deepStrictEqual(
            own.map(({ token }) => token),
            Array.from(tokens)
          )
          assert.deepStrictEqual(
            Array.from(own, ({ logprob }) => Math.fround(logprob)),
            Array.from(logprobs!)
          )
          assert.deepStrictEqual(
            own.map(({ topk }) => topk ?? null),
            topk_logprobs
          )
          assert.deepStrictEqual(
            own.map((token) => token.stop_reason).filter((reason) => reason !== undefined),
            [stop_reason]
          )
        })
        assert.isAbove(new Set(told.slice(0, 3).map(({ index }) => index)).size, 1, "sequences grow together")
      })
    )

    it.scoped("releases models and samplers when their scopes close", () =>
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        const [model, sampler] = yield* Effect.scoped(
          Effect.all([
            engine.createModel({ base_model: name, lora_config }),
            engine.createSampler({ base_model: name, adapter: undefined })
          ])
        )
        assert.include((yield* Effect.flip(model.adapter)).reason, "released")
        assert.include((yield* Effect.flip(sampler.sample(sampleOptions))).reason, "released")
      })
    )
  }
)

describe("The thread of a NodeWorkerEngine", () => {
  it.scopedLive("does not delay the timers of the caller while it compiles and computes", () =>
    Effect.gen(function* () {
      const engine = yield* NodeWorkerEngine.make({ ...options, executor: "wasm" })
      const model = yield* engine.createModel({ base_model: name, lora_config })
      let beats = 0
      const heart = Effect.sync(() => {
        beats += 1
      })
      const fiber = yield* Effect.fork(Effect.repeat(heart, Schedule.spaced("10 millis")))
      const delays = monitorEventLoopDelay({ resolution: 5 })
      delays.enable()
      // one compilation and one run: on the caller's thread, they would be one long delay
      const [elapsed] = yield* Effect.timed(model.forwardBackward(batch(4, 250)))
      delays.disable()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(delays.max / 1e6, Duration.toMillis(elapsed) / 3)
      assert.isAbove(beats, 10)
    })
  )

  it.scopedLive("fails pending and later calls with advice after a crash, and is replaced for new models", () =>
    Effect.gen(function* () {
      const started = yield* threads
      const engine = yield* NodeWorkerEngine.make(options)
      const create = engine.createModel({ base_model: name, lora_config })
      const model = yield* create
      const fiber = yield* Effect.fork(model.forwardBackward(longBatch))
      yield* Effect.sleep("20 millis")
      assert.strictEqual(started.length, 1)
      void started[0]!.terminate()
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(error.category, "server")
      assert.include(error.reason, "create them again, and load their last checkpoint")
      assert.strictEqual((yield* Effect.flip(model.adapter)).reason, error.reason)
      // two concurrent calls start one thread
      const [fresh] = yield* Effect.all([create, create], { concurrency: 2 })
      yield* fresh.forwardBackward(batch(1, 9))
      assert.strictEqual(started.length, 2)
      assert.strictEqual((yield* Effect.flip(model.adapter)).reason, error.reason)
    })
  )

  it.scopedLive("ends when the scope closes, even during a forwardBackward", () =>
    Effect.gen(function* () {
      const started = yield* threads
      const scope = yield* Scope.make()
      const engine = yield* Scope.extend(NodeWorkerEngine.make({ ...options, maxTokensPerRun: 16 }), scope)
      const model = yield* Scope.extend(engine.createModel({ base_model: name, lora_config }), scope)
      const fiber = yield* Effect.fork(model.forwardBackward(longBatch))
      yield* Effect.sleep("50 millis")
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      assert.strictEqual((yield* Effect.flip(model.adapter)).reason, "the engine has been closed")
      assert.deepStrictEqual(
        started.map(({ threadId }) => threadId),
        [-1]
      )
    })
  )

  it.scoped("ends if the engine fails to start because a directory holds no model", () =>
    Effect.gen(function* () {
      const started = yield* threads
      const broken = NodeWorkerEngine.make({ models: [{ name: "test/none", directory: fixtures.path("none") }] })
      const error = yield* Effect.flip(Effect.scoped(broken))
      assert.strictEqual(error._tag, "ModelDirectoryError")
      assert.include(error.message, "none/config.json: cannot be read")
      assert.deepStrictEqual(
        started.map(({ threadId }) => threadId),
        [-1]
      )
    })
  )
})
