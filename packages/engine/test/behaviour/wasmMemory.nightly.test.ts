import * as Datum from "@effect-tinker/api/Datum"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as sampler from "../../src/internal/generation/sampler.ts"
import * as rowAdapter from "../../src/internal/lora/rowAdapter.ts"
import * as trainer from "../../src/internal/training/trainer.ts"
import { vi } from "vitest"
import * as fixtures from "../utils/fixtures.ts"
import { adamParams, crossEntropy, sampleRequest, trainAll } from "../utils/requests.ts"

// jax-js keeps all arrays in one memory, which grows if arrays leak. It creates the memory when it is imported, so the
// constructor is patched before that.
const memories = vi.hoisted(() => {
  const created: Array<WebAssembly.Memory> = []
  const Memory = WebAssembly.Memory
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor)
      created.push(this)
    }
  }
  return created
})

const bytes = () => memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)

describe("The WebAssembly memory", () => {
  it.scoped("does not grow over training steps, samples and adapters", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen(undefined, "wasm")
      assert.strictEqual(memories.length, 1)
      const data = fixtures.qwen.data["supervised"]!.map(fixtures.datum)
      const batch = crossEntropy(data)
      const model = yield* trainer.make(base, { rank: 4, seed: 0, ...trainAll })
      const round = Effect.gen(function* () {
        yield* model.forwardBackward(batch)
        yield* model.optimStep(adamParams)
        yield* model.forward(batch)
        const adapter = yield* model.adapter
        yield* Effect.flatMap(rowAdapter.make(base, adapter), (own) =>
          sampler.sample(
            base,
            own,
            sampleRequest({
              prompt: [10, 11, 12],
              num_samples: 4,
              params: { max_tokens: 3, seed: 0, stop: [] },
              prompt_logprobs: true
            })
          )
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

  it.effect("is released when the scope of the executor closes", () =>
    Effect.gen(function* () {
      const use = Effect.scoped(
        Effect.gen(function* () {
          const base = yield* fixtures.loadQwen(undefined, "wasm")
          const model = yield* trainer.make(base, { rank: 4, seed: 0, ...trainAll })
          const data = [Datum.fromPromptCompletion([1, 2], [3, 4])]
          yield* model.forwardBackward(crossEntropy(data))
        })
      )
      yield* use
      const before = bytes()
      yield* Effect.replicateEffect(use, 10, { discard: true })
      assert.strictEqual(bytes(), before)
    })
  )
})
