import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as sampleMemory from "../../../src/internal/generation/sampleMemory.ts"
import * as batches from "../../../src/internal/generation/batch.ts"
import type { StoredWeights } from "../../../src/internal/model/loaded.ts"
import * as sampler from "../../../src/internal/generation/sampler.ts"
import * as layouts from "../../../src/internal/lora/layout.ts"
import * as mergedWeights from "../../../src/internal/lora/mergedWeights.ts"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { adamParams, crossEntropy, sampleRequest, trainAll } from "../../utils/requests.ts"

describe("Merged weights", () => {
  it.scoped("do not change when training continues, and do not change the model", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const merged = mergedWeights.make(base, 1)
      const model = yield* trainer.make(base, { rank: 4, seed: 0, ...trainAll })
      const data = fixtures.qwen.data["supervised"]!.map(fixtures.datum)
      const step = Effect.andThen(model.forwardBackward(crossEntropy(data)), model.optimStep(adamParams))
      yield* step
      const before = yield* model.adapter
      const draw = (adapter: Engine.Adapter) =>
        Effect.map(
          merged.use(adapter, (weights) => sampler.sample(base, weights, sampleRequest())),
          ({ sequences }) => sequences
        )
      const first = yield* draw(before)
      yield* step
      const after = yield* model.adapter
      const second = yield* draw(after)
      assert.notDeepEqual(first, second)
      assert.deepStrictEqual(yield* draw(before), first)
      assert.deepStrictEqual(yield* model.adapter, after)
    })
  )

  it.scoped("can be used concurrently, for more adapters than are kept", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const merged = mergedWeights.make(base, 1)
      const adapters = yield* Effect.forEach([1, 2, 3, 4, 5], (scale) =>
        Effect.succeed(
          fixtures.makeAdapter(
            Object.fromEntries(
              Object.entries(fixtures.peftArrays(fixtures.qwen.lora)).map(([name, data]) => [
                name,
                data.map((v) => v * scale)
              ])
            ),
            fixtures.qwen.rank
          )
        )
      )
      const draw = (adapter: Engine.Adapter) =>
        merged.use(adapter, (weights) => sampler.sample(base, weights, sampleRequest()))
      const alone = yield* Effect.forEach(adapters, draw)
      const together = yield* Effect.forEach([...adapters, ...adapters], draw, { concurrency: "unbounded" })
      for (const [i, { sequences }] of together.entries()) {
        const expected = alone[i % 5]!.sequences[0]!
        assert.deepStrictEqual(sequences[0]!.tokens, expected.tokens)
        fixtures.assertNear(sequences[0]!.logprobs!, expected.logprobs!, "logprobs", 1e-5)
      }
      yield* Effect.forEach(adapters, merged.evict, { discard: true })
    })
  )

  it.scoped("are reported when they are released, so that what was read with them is forgotten", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const released: Array<StoredWeights> = []
      const merged = mergedWeights.make(base, 1, (weights) => {
        released.push(weights)
        batches.of(base).forget(weights)
      })
      const adapter = fixtures.makeAdapter(fixtures.peftArrays(fixtures.qwen.lora), fixtures.qwen.rank)
      const used = yield* merged.use(adapter, (weights) =>
        Effect.as(sampler.sample(base, weights, sampleRequest()), weights)
      )
      assert.isAbove(batches.of(base).prefixes.bytes, 0)
      yield* merged.evict(adapter)
      assert.deepStrictEqual(released, [used])
      assert.strictEqual(batches.of(base).prefixes.bytes, 0)
    })
  )

  it.scoped("are rejected for adapters that do not fit", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const merged = mergedWeights.make(base, 1)
      const adapter = fixtures.makeAdapter(fixtures.peftArrays(fixtures.qwen.lora), fixtures.qwen.rank)
      const check = (changed: Engine.Adapter) => fixtures.userErrorReason(merged.check(changed))
      yield* merged.check(adapter)
      assert.include(
        yield* check({ ...adapter, lora_config: { ...adapter.lora_config, rank: 2 } }),
        "the rank must be the same"
      )
      assert.include(
        yield* check({ ...adapter, lora_config: { ...adapter.lora_config, train_mlp: false } }),
        "train_attn, train_mlp and train_unembed must be the same"
      )
      assert.include(yield* check({ ...adapter, weights: {} }), "has no base_model.model.model.layers.0")
    })
  )

  it.scoped(
    "count in the memory budget: idle ones give way, and a request that does not fit beside its own is refused",
    () =>
      Effect.gen(function* () {
        const base = yield* fixtures.loadQwen()
        const arrays = fixtures.peftArrays(fixtures.qwen.lora)
        const adapters = [1, 2].map(() => fixtures.makeAdapter(arrays, fixtures.qwen.rank))
        const { prompt, sampling_params } = sampleRequest()
        const tokens = ModelInput.toTokens(prompt).length
        const fits = (memoryBudget: number) =>
          sampleMemory.problem({ ...base, memoryBudget }, tokens, sampling_params.max_tokens!, false) === undefined
        // the smallest budget of the request without an adapter
        let [low, high] = [0, 2 ** 34]
        while (high - low > 1) {
          const middle = Math.floor((low + high) / 2)
          if (fits(middle)) high = middle
          else low = middle
        }
        /** Samples with one adapter after the other; returns how many tensors are stored then. */
        const sampleWithin = (memoryBudget: number) =>
          Effect.gen(function* () {
            let stored = 0
            const store: typeof base.executor.store = (values, shape) =>
              Effect.map(base.executor.store(values, shape), (tensor) => {
                stored++
                const release = tensor.release.bind(tensor)
                return Object.assign(tensor, { release: () => void (stored--, release()) })
              })
            const model = { ...base, memoryBudget, executor: { ...base.executor, store } }
            const merged = mergedWeights.make(model, 2)
            for (const adapter of adapters) {
              yield* merged.use(adapter, (weights, memory) => sampler.sample(model, weights, sampleRequest(), memory))
            }
            yield* Effect.addFinalizer(() => Effect.forEach(adapters, merged.evict, { discard: true }))
            return stored
          })
        const both = yield* sampleWithin(2 ** 34)
        const { linears } = Either.getOrThrow(layouts.make(base.config, adapters[0]!.lora_config))
        // WebAssembly has a copy of its own
        const bytes = linears.reduce((sum, linear) => sum + 8 * linear.in * linear.out, 0)
        assert.strictEqual(yield* sampleWithin(high + 2 * bytes), both)
        assert.strictEqual(yield* sampleWithin(high + bytes), both / 2)
        assert.include(yield* fixtures.userErrorReason(sampleWithin(high + bytes - 8)), "memoryBudget")
      })
  )
})
