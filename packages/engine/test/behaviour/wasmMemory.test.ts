import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as sampler from "../../src/internal/generation/sampler.ts"
import * as mergedWeights from "../../src/internal/lora/mergedWeights.ts"
import * as trainer from "../../src/internal/training/trainer.ts"
import { vi } from "vitest"
import * as fixtures from "../utils/fixtures.ts"

// jax-js keeps all arrays in one memory, which grows when they are not given back. It is made when the module is
// imported, and so caught before that.
const memories = vi.hoisted(() => {
  const caught: Array<WebAssembly.Memory> = []
  const Memory = WebAssembly.Memory
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor)
      caught.push(this)
    }
  }
  return caught
})

const bytes = () => memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)

describe("memory", () => {
  it.scoped("stays as it is over steps, samples and snapshots", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.load(fixtures.path("tiny-qwen3"), undefined, "wasm")
      assert.strictEqual(memories.length, 1)
      const merged = mergedWeights.make(base, 1)
      const data = fixtures.read<fixtures.Tiny>("tiny-qwen3.json").data["supervised"]!.map(fixtures.datum)
      const options = { data, loss_fn: "cross_entropy", loss_fn_config: {} }
      const model = yield* trainer.make(base, { rank: 4, seed: 0, ...fixtures.switches })
      const round = Effect.gen(function* () {
        yield* model.forwardBackward(options)
        yield* model.optimStep(fixtures.adamParams)
        yield* model.forward(options)
        const adapter = yield* model.adapter
        yield* merged.use(adapter, (weights) =>
          sampler.sample(base, weights, {
            prompt: ModelInput.fromTokens([10, 11, 12]),
            num_samples: 4,
            sampling_params: { max_tokens: 3, temperature: 1, top_k: -1, top_p: 1, seed: 0, stop: [] },
            prompt_logprobs: true,
            topk_prompt_logprobs: 0
          })
        )
      })
      yield* Effect.replicateEffect(round, 3, { discard: true })
      const before = bytes()
      assert.isAbove(before, 0)
      yield* Effect.replicateEffect(round, 30, { discard: true })
      assert.strictEqual(bytes(), before)
      for (const stored of [...Object.values(base.stored), base.tokenIds]) {
        assert.strictEqual((stored as unknown as { readonly array: { readonly refCount: number } }).array.refCount, 1)
      }
    })
  )

  it.effect("is given back when the executor's scope closes", () =>
    Effect.gen(function* () {
      const use = Effect.scoped(
        Effect.gen(function* () {
          const base = yield* fixtures.load(fixtures.path("tiny-qwen3"), undefined, "wasm")
          const model = yield* trainer.make(base, { rank: 4, seed: 0, ...fixtures.switches })
          const data = [Datum.fromPromptCompletion([1, 2], [3, 4])]
          yield* model.forwardBackward({ data, loss_fn: "cross_entropy", loss_fn_config: {} })
        })
      )
      yield* use
      const before = bytes()
      yield* Effect.replicateEffect(use, 10, { discard: true })
      assert.strictEqual(bytes(), before)
    })
  )
})
