import * as Datum from "@effect-tinker/api/Datum"
import * as Engine from "@effect-tinker/server/Engine"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as JaxEngine from "../src/JaxEngine.ts"
import * as fixtures from "./utils/fixtures.ts"
import { adamParams, crossEntropy, sampleRequest, trainAll } from "./utils/requests.ts"

const models = ["tiny-qwen3", "tiny-llama"].map((name) => ({ name: `test/${name}`, directory: fixtures.path(name) }))

const withEngine = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(Effect.provide(JaxEngine.layer({ models })), Effect.provide(NodeContext.layer))

describe("JaxEngine", () => {
  it.scoped("offers the given base models and the one that ships, and rejects others", () =>
    Effect.gen(function* () {
      const engine = yield* Engine.Engine
      assert.deepStrictEqual(engine.models, [
        { model_name: JaxEngine.nano, max_context_length: 1024, arch: "qwen3", vocab_size: 259 },
        { model_name: "test/tiny-qwen3", max_context_length: 2048, arch: "qwen3", vocab_size: 259 },
        { model_name: "test/tiny-llama", max_context_length: 512, arch: "llama", vocab_size: 259 }
      ])
      const lora_config = { rank: 2, seed: 0, ...trainAll }
      const reason = yield* fixtures.userErrorReason(engine.createModel({ base_model: "test/none", lora_config }))
      assert.strictEqual(
        reason,
        "the base model test/none is not available: available are effect-tinker/nano, test/tiny-qwen3, test/tiny-llama"
      )
    }).pipe(withEngine)
  )

  it.scoped("trains models on several base models concurrently, and samples from them", () =>
    Effect.gen(function* () {
      const engine = yield* Engine.Engine
      const text = [20, 40, 60, 80, 100, 120]
      const data = [Datum.fromPromptCompletion(text.slice(0, 1), text.slice(1))]
      const learn = (base_model: string) =>
        Effect.gen(function* () {
          const lora_config = { rank: 4, seed: 0, ...trainAll }
          const model = yield* engine.createModel({ base_model, lora_config })
          for (let i = 0; i < 30; i++) {
            yield* model.forwardBackward(crossEntropy(data))
            yield* model.optimStep({ ...adamParams, learning_rate: 2e-3 })
          }
          const sampler = yield* engine.createSampler({ base_model, adapter: yield* model.adapter })
          const { sequences } = yield* sampler.sample(
            sampleRequest({ prompt: text.slice(0, 1), params: { max_tokens: 5, temperature: 0 } })
          )
          assert.deepStrictEqual(Array.from(sequences[0]!.tokens), text.slice(1), base_model)
        })
      yield* Effect.forEach(models, ({ name }) => learn(name), { concurrency: "unbounded" })
    }).pipe(withEngine)
  )

  it.scoped("lets timers run between microbatches", () =>
    Effect.gen(function* () {
      const engine = yield* Engine.Engine
      const lora_config = { rank: 2, seed: 0, ...trainAll }
      const model = yield* engine.createModel({ base_model: "test/tiny-qwen3", lora_config })
      const text = Array.from({ length: 101 }, (_, i) => i)
      const data = Array.from({ length: 20 }, () => Datum.fromPromptCompletion(text.slice(0, 1), text.slice(1)))
      const forwardBackward = model.forwardBackward(crossEntropy(data))
      // compiles the program
      yield* forwardBackward
      let ticks = 0
      const timer = setInterval(() => {
        ticks += 1
      }, 1)
      yield* forwardBackward
      clearInterval(timer)
      // one microbatch for each datum
      assert.isAbove(ticks, 10)
    }).pipe(Effect.provide(JaxEngine.layer({ models, maxTokensPerRun: 128 })), Effect.provide(NodeContext.layer))
  )

  it.scoped("fails to start if a directory holds no model", () =>
    Effect.gen(function* () {
      const layer = JaxEngine.layer({ models: [{ name: "test/none", directory: fixtures.path("none") }] })
      const error = yield* Effect.flip(Effect.provide(Engine.Engine, layer))
      assert.strictEqual(error._tag, "ModelDirectoryError")
      assert.include(error.message, "none/config.json: cannot be read")
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
