import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Engine from "@effect-tinker/server/Engine"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as JaxEngine from "../src/JaxEngine.ts"
import * as fixtures from "./utils/fixtures.ts"

const models = ["tiny-qwen3", "tiny-llama"].map((name) => ({ name: `test/${name}`, directory: fixtures.path(name) }))

const provided = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(Effect.provide(JaxEngine.layer({ models })), Effect.provide(NodeContext.layer))

describe("the engine", () => {
  it.scoped("offers the given models and its own", () =>
    Effect.gen(function* () {
      const engine = yield* Engine.Engine
      assert.deepStrictEqual(engine.models, [
        { model_name: JaxEngine.nano, max_context_length: 1024, arch: "qwen3" },
        { model_name: "test/tiny-qwen3", max_context_length: 2048, arch: "qwen3" },
        { model_name: "test/tiny-llama", max_context_length: 512, arch: "llama" }
      ])
      const lora_config = { rank: 2, seed: 0, ...fixtures.switches }
      const reason = yield* fixtures.refusal(engine.createModel({ base_model: "test/none", lora_config }))
      assert.strictEqual(
        reason,
        "the base model test/none is not available: available are effect-tinker/nano, test/tiny-qwen3, test/tiny-llama"
      )
    }).pipe(provided)
  )

  it.scoped("trains models of several bases side by side, and samples what they have learnt", () =>
    Effect.gen(function* () {
      const engine = yield* Engine.Engine
      const text = [20, 40, 60, 80, 100, 120]
      const data = [Datum.fromPromptCompletion(text.slice(0, 1), text.slice(1))]
      const learn = (base_model: string) =>
        Effect.gen(function* () {
          const lora_config = { rank: 4, seed: 0, ...fixtures.switches }
          const model = yield* engine.createModel({ base_model, lora_config })
          for (let i = 0; i < 30; i++) {
            yield* model.forwardBackward({ data, loss_fn: "cross_entropy", loss_fn_config: {} })
            yield* model.optimStep({ ...fixtures.adamParams, learning_rate: 2e-3 })
          }
          const sampler = yield* engine.createSampler({ base_model, adapter: yield* model.adapter })
          const { sequences } = yield* sampler.sample({
            prompt: ModelInput.fromTokens(text.slice(0, 1)),
            num_samples: 1,
            sampling_params: { max_tokens: 5, temperature: 0, top_k: -1, top_p: 1 },
            prompt_logprobs: false,
            topk_prompt_logprobs: 0
          })
          assert.deepStrictEqual(Array.from(sequences[0]!.tokens), text.slice(1), base_model)
        })
      yield* Effect.forEach(models, ({ name }) => learn(name), { concurrency: "unbounded" })
    }).pipe(provided)
  )

  it.scoped("lets timers run while it works", () =>
    Effect.gen(function* () {
      const engine = yield* Engine.Engine
      const lora_config = { rank: 2, seed: 0, ...fixtures.switches }
      const model = yield* engine.createModel({ base_model: "test/tiny-qwen3", lora_config })
      const text = Array.from({ length: 101 }, (_, i) => i)
      const data = Array.from({ length: 20 }, () => Datum.fromPromptCompletion(text.slice(0, 1), text.slice(1)))
      const pass = model.forwardBackward({ data, loss_fn: "cross_entropy", loss_fn_config: {} })
      // compiles
      yield* pass
      let ticks = 0
      const timer = setInterval(() => {
        ticks += 1
      }, 1)
      yield* pass
      clearInterval(timer)
      // one run for each datum
      assert.isAbove(ticks, 10)
    }).pipe(Effect.provide(JaxEngine.layer({ models, maxTokensPerRun: 128 })), Effect.provide(NodeContext.layer))
  )

  it.scoped("fails to start where a directory is no model", () =>
    Effect.gen(function* () {
      const layer = JaxEngine.layer({ models: [{ name: "test/none", directory: fixtures.path("none") }] })
      const error = yield* Effect.flip(Effect.provide(Engine.Engine, layer))
      assert.strictEqual(error._tag, "ModelDirectoryError")
      assert.include(error.message, "none/config.json: cannot be read")
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
