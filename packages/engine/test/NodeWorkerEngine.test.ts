import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Engine from "@effect-tinker/server/Engine"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { monitorEventLoopDelay } from "node:perf_hooks"
import type { Worker } from "node:worker_threads"
import * as JaxEngine from "../src/JaxEngine.ts"
import * as NodeWorkerEngine from "../src/NodeWorkerEngine.ts"
import * as fixtures from "./utils/fixtures.ts"

const name = "test/tiny-qwen3"
const options: JaxEngine.Options = {
  models: [{ name, directory: fixtures.path("tiny-qwen3") }],
  executor: fixtures.executor
}
const lora_config = { rank: 4, seed: 7, ...fixtures.switches }

const text = (length: number) => Array.from({ length }, (_, i) => (i * 29) % 259)
const pass = (datums: number, length: number): Engine.PassOptions => ({
  data: Array.from({ length: datums }, () =>
    Datum.fromPromptCompletion(text(length).slice(0, 1), text(length).slice(1))
  ),
  loss_fn: "cross_entropy",
  loss_fn_config: {}
})

const sampleOptions: Engine.SampleOptions = {
  prompt: ModelInput.fromTokens([10, 11, 12]),
  num_samples: 3,
  sampling_params: { max_tokens: 8, temperature: 1, top_k: -1, top_p: 1, seed: 5, stop: [] },
  prompt_logprobs: true,
  topk_prompt_logprobs: 2
}

/** Everything that an engine answers in the life of a model. */
const life = (engine: Engine.Service) =>
  Effect.gen(function* () {
    const model = yield* engine.createModel({ base_model: name, lora_config })
    const outputs: Array<unknown> = []
    const policy = Datum.make({
      model_input: [10, 11, 12, 13],
      loss_fn_inputs: { target_tokens: [11, 12, 13, 14], logprobs: [-5, -5.5, -5.6, -5.7], advantages: [1, -1, 2, 0] }
    })
    for (let i = 0; i < 3; i++) {
      outputs.push(yield* model.forwardBackward(pass(2, 9)))
      outputs.push(yield* model.forwardBackward({ data: [policy], loss_fn: "ppo", loss_fn_config: {} }))
      outputs.push(yield* model.optimStep({ ...fixtures.adamParams, weight_decay: 0.1, grad_clip_norm: 1 }))
    }
    const adapter = yield* model.adapter
    const optimizer = yield* model.optimizer
    const sampler = yield* engine.createSampler({ base_model: name, adapter })
    outputs.push(adapter, optimizer, yield* sampler.sample(sampleOptions))
    yield* model.load(adapter, optimizer)
    outputs.push(yield* model.forward(pass(1, 5)))
    // what was given away is still the caller's
    assert.isTrue(Object.values(adapter.weights).every(({ data }) => data.length > 0))
    return outputs
  })

/** The threads that are started from here on. */
const threads = Effect.acquireRelease(
  Effect.sync(() => {
    const started: Array<Worker> = []
    const add = (worker: Worker) => void started.push(worker)
    process.on("worker", add)
    return { started, stop: () => process.off("worker", add) }
  }),
  ({ stop }) => Effect.sync(stop)
).pipe(Effect.map(({ started }) => started))

/** A pass of so many runs that it is far from done when it is interrupted. */
const longPass = pass(3000, 9)

layer(NodeWorkerEngine.layer({ ...options, maxTokensPerRun: 16 }), { excludeTestServices: true })(
  "the engine in a thread of its own",
  (it) => {
    it.scoped("answers what the engine on this thread answers, to the bit", () =>
      Effect.gen(function* () {
        const there = yield* Engine.Engine
        const here = yield* JaxEngine.make({ ...options, maxTokensPerRun: 16 })
        assert.deepStrictEqual(there.models, here.models)
        assert.deepStrictEqual(yield* life(there), yield* life(here))
      }).pipe(Effect.provide(NodeContext.layer))
    )

    it.scoped("takes seeds that are not given from the caller's random numbers", () =>
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

    it.scoped("ends a pass that is interrupted in the middle, and goes on as if it had not begun", () =>
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        const model = yield* engine.createModel({ base_model: name, lora_config })
        const still = { ...fixtures.adamParams, learning_rate: 0 }
        const first = yield* model.forwardBackward(pass(1, 9))
        const { metrics } = yield* model.optimStep(still)
        const fiber = yield* Effect.fork(model.forwardBackward(longPass))
        yield* Effect.sleep("50 millis")
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        assert.deepStrictEqual(yield* model.forwardBackward(pass(1, 9)), first)
        assert.deepStrictEqual((yield* model.optimStep(still)).metrics, metrics)
      })
    )

    it.scoped("fails as the engine on this thread does", () =>
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        assert.include(
          yield* fixtures.refusal(engine.createModel({ base_model: "test/none", lora_config })),
          "the base model test/none is not available"
        )
        const model = yield* engine.createModel({ base_model: name, lora_config })
        const wrong = model.forward({ ...pass(1, 5), loss_fn: "gspo" })
        assert.include(yield* fixtures.refusal(wrong), "gspo is not supported: supported are cross_entropy")
      })
    )

    it.scoped("lets go of models and samplers with their scopes", () =>
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

describe("the thread of an engine", () => {
  it.scopedLive("leaves the timers of the caller alone while it compiles and computes", () =>
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
      // one compilation and one run; on the caller's thread it would be one long delay
      const [elapsed] = yield* Effect.timed(model.forwardBackward(pass(4, 250)))
      delays.disable()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(delays.max / 1e6, Duration.toMillis(elapsed) / 3)
      assert.isAbove(beats, 10)
    })
  )

  it.scopedLive("that crashes fails what it was doing and says what to do; new models get a new thread", () =>
    Effect.gen(function* () {
      const started = yield* threads
      const engine = yield* NodeWorkerEngine.make(options)
      const create = engine.createModel({ base_model: name, lora_config })
      const model = yield* create
      const fiber = yield* Effect.fork(model.forwardBackward(longPass))
      yield* Effect.sleep("20 millis")
      assert.strictEqual(started.length, 1)
      void started[0]!.terminate()
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(error.category, "server")
      assert.include(error.reason, "create them again, and load their last checkpoint")
      assert.strictEqual((yield* Effect.flip(model.adapter)).reason, error.reason)
      // two at once start one thread
      const [fresh] = yield* Effect.all([create, create], { concurrency: 2 })
      yield* fresh.forwardBackward(pass(1, 9))
      assert.strictEqual(started.length, 2)
      assert.strictEqual((yield* Effect.flip(model.adapter)).reason, error.reason)
    })
  )

  it.scopedLive("ends with its scope, also in the middle of a pass", () =>
    Effect.gen(function* () {
      const started = yield* threads
      const scope = yield* Scope.make()
      const engine = yield* Scope.extend(NodeWorkerEngine.make({ ...options, maxTokensPerRun: 16 }), scope)
      const model = yield* Scope.extend(engine.createModel({ base_model: name, lora_config }), scope)
      const fiber = yield* Effect.fork(model.forwardBackward(longPass))
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

  it.scoped("fails to start where a directory is no model, and does not stay", () =>
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
