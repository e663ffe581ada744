import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as batches from "../../../src/internal/generation/batch.ts"
import * as sampler from "../../../src/internal/generation/sampler.ts"
import * as rowAdapter from "../../../src/internal/lora/rowAdapter.ts"
import type { LoadedModel } from "../../../src/internal/model/loaded.ts"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { adamParams, crossEntropy, sampleRequest, trainAll } from "../../utils/requests.ts"

const draw = (base: LoadedModel, adapter: Engine.Adapter) =>
  Effect.flatMap(rowAdapter.make(base, adapter), (own) => sampler.sample(base, own, sampleRequest()))

/** The adapter of the fixture, with its values times a factor. */
const scaled = (factor: number, trained = trainAll): Engine.Adapter => {
  const names = Object.entries({ attn: "self_attn", mlp: "mlp", unembed: "lm_head" } as const)
  const kept = names.filter(([part]) => trained[`train_${part as "attn" | "mlp" | "unembed"}`]).map(([, name]) => name)
  const arrays = Object.entries(fixtures.peftArrays(fixtures.qwen.lora))
    .filter(([name]) => kept.some((part) => name.includes(part)))
    .map(([name, data]) => [name, data.map((value) => value * factor)] as const)
  return fixtures.makeAdapter(Object.fromEntries(arrays), fixtures.qwen.rank, trained)
}

/** The rows of the steps that a model runs. */
const logging = (base: LoadedModel, steps: Array<string>): LoadedModel => ({
  ...base,
  executor: {
    ...base.executor,
    compile: (program) => {
      const [kind, , , rows, length] = program.key.split(" ")
      if (kind === "extend" && length === "1") steps.push(rows!)
      return base.executor.compile(program)
    }
  }
})

describe("An adapter of a row", () => {
  it.scoped("does not change when training continues, and does not change the model", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const model = yield* trainer.make(base, { rank: 4, seed: 0, ...trainAll })
      const data = fixtures.qwen.data["supervised"]!.map(fixtures.datum)
      const step = Effect.andThen(model.forwardBackward(crossEntropy(data)), model.optimStep(adamParams))
      yield* step
      const before = yield* model.adapter
      const first = (yield* draw(base, before)).sequences
      yield* step
      const after = yield* model.adapter
      assert.notDeepEqual((yield* draw(base, after)).sequences, first)
      assert.deepStrictEqual((yield* draw(base, before)).sequences, first)
      assert.deepStrictEqual(yield* model.adapter, after)
    })
  )

  it.scoped.each(fixtures.availableExecutors)(
    "has the samples that it has alone, whatever else is sampled, on %s",
    (executor) =>
      Effect.gen(function* () {
        const steps: Array<string> = []
        const base = logging(yield* fixtures.loadQwen(undefined, executor), steps)
        const adapters = [
          scaled(1),
          scaled(2),
          scaled(-1, { ...trainAll, train_mlp: false }),
          scaled(3, { ...trainAll, train_attn: false, train_mlp: false })
        ]
        const own = [rowAdapter.none, ...(yield* Effect.forEach(adapters, (adapter) => rowAdapter.make(base, adapter)))]
        const sample = (adapter: rowAdapter.RowAdapter) =>
          sampler.sample(base, adapter, sampleRequest({ params: { stop: [] } }))
        const alone = yield* Effect.forEach(own, sample)
        steps.length = 0
        const together = yield* Effect.forEach(own, sample, { concurrency: "unbounded" })
        together.forEach(({ sequences }, i) => {
          const expected = alone[i]!.sequences[0]!
          assert.deepStrictEqual(sequences[0]!.tokens, expected.tokens)
          fixtures.assertNear(sequences[0]!.logprobs!, expected.logprobs!, "logprobs", 1e-5)
        })
        assert.strictEqual(new Set(alone.map(({ sequences }) => String(sequences[0]!.logprobs))).size, own.length)
        // where programs of all sizes are compiled once, all five share each step
        if (executor === "native") assert.deepStrictEqual(new Set(steps), new Set(["5"]))
      })
  )

  it.scoped("with values that are no numbers does not spoil what is sampled beside it", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen(undefined, fixtures.isNativeAvailable ? "native" : "wasm")
      const alone = yield* draw(base, scaled(1))
      const [, beside] = yield* Effect.forEach([scaled(Number.NaN), scaled(1)], (adapter) => draw(base, adapter), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(beside!.sequences[0]!.tokens, alone.sequences[0]!.tokens)
      fixtures.assertNear(beside!.sequences[0]!.logprobs!, alone.sequences[0]!.logprobs!, "logprobs", 1e-5)
    })
  )

  it.scoped("is forgotten with what was read with it", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const own = yield* rowAdapter.make(base, scaled(1))
      yield* sampler.sample(base, own, sampleRequest())
      assert.isAbove(batches.of(base).prefixes.bytes, 0)
      batches.of(base).forget(own)
      assert.strictEqual(batches.of(base).prefixes.bytes, 0)
    })
  )

  it.scoped("is rejected if it does not fit the model", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const adapter = scaled(1)
      const check = (changed: Engine.Adapter) => fixtures.userErrorReason(rowAdapter.make(base, changed))
      yield* rowAdapter.make(base, adapter)
      const { lora_config } = adapter
      assert.include(
        yield* check({ ...adapter, lora_config: { ...lora_config, rank: 2 } }),
        "the rank must be the same"
      )
      assert.include(
        yield* check({ ...adapter, lora_config: { ...lora_config, train_mlp: false } }),
        "train_attn, train_mlp and train_unembed must be the same"
      )
      assert.include(yield* check({ ...adapter, weights: {} }), "has no base_model.model.model.layers.0")
    })
  )

  it.scoped("counts in the memory budget", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const own = yield* rowAdapter.make(base, scaled(1))
      // the least budget of the request without an adapter
      let [low, high] = [0, 2 ** 34]
      const fits = (memoryBudget: number, adapter: rowAdapter.RowAdapter) =>
        Effect.isSuccess(
          sampler.sample({ ...base, memoryBudget }, adapter, sampleRequest({ params: { max_tokens: 1 } }))
        )
      while (high - low > 2 ** 10) {
        const middle = Math.floor((low + high) / 2)
        if (yield* fits(middle, rowAdapter.none)) high = middle
        else low = middle
      }
      assert.isFalse(yield* fits(high, own))
      assert.isTrue(yield* fits(high + 8 * own.size, own))
    })
  )
})
