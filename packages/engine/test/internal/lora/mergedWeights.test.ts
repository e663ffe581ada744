import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as sampler from "../../../src/internal/generation/sampler.ts"
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
})
