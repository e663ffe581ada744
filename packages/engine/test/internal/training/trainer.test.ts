import * as Datum from "@effect-tinker/api/Datum"
import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { adamParams, crossEntropy, trainAll } from "../../utils/requests.ts"

describe("A model in training", () => {
  const data = fixtures.qwen.data["supervised"]!.map(fixtures.datum)
  const train = (model: Engine.EngineModel, steps: number) =>
    Effect.replicateEffect(
      Effect.andThen(model.forwardBackward(crossEntropy(data)), model.optimStep(adamParams)),
      steps,
      { discard: true }
    )

  it.scoped("is equal to the bit for equal seeds and data, and differs for another seed", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const models = yield* Effect.forEach([7, 7, 8], (seed) => trainer.make(base, { rank: 4, seed, ...trainAll }))
      for (const model of models) yield* train(model, 3)
      const [a, b, c] = yield* Effect.forEach(models, (model) => model.adapter)
      assert.deepStrictEqual(a, b)
      assert.notDeepEqual(a!.weights, c!.weights)
      assert.deepStrictEqual(yield* models[0]!.optimizer, yield* models[1]!.optimizer)
    })
  )

  it.scoped("does not depend on other models of the same base model, to the bit", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const make = (seed: number) => trainer.make(base, { rank: 4, seed, ...trainAll })
      const alone = yield* make(7)
      yield* train(alone, 3)

      const [model, idle, other] = [yield* make(7), yield* make(8), yield* make(9)]
      const before = yield* idle.adapter
      // another model decays, accumulates and fails in between
      const disturb = Effect.gen(function* () {
        yield* other.forwardBackward(crossEntropy(data.slice(0, 1)))
        yield* other.optimStep({ ...adamParams, learning_rate: 0.1, weight_decay: 0.5 })
        yield* other.forwardBackward(crossEntropy(data))
        yield* Effect.flip(other.forward({ ...crossEntropy(data), loss_fn: "none" }))
      })
      for (let i = 0; i < 3; i++) {
        yield* disturb
        yield* model.forwardBackward(crossEntropy(data))
        yield* disturb
        yield* model.optimStep(adamParams)
      }
      assert.deepStrictEqual(yield* model.adapter, yield* alone.adapter)
      assert.deepStrictEqual(yield* model.optimizer, yield* alone.optimizer)
      assert.deepStrictEqual(yield* idle.adapter, before)
    })
  )

  it.scoped("does not depend on models that train concurrently, to the bit", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen(64)
      const run = (seed: number) =>
        Effect.gen(function* () {
          const model = yield* trainer.make(base, { rank: 4, seed, ...trainAll })
          yield* train(model, 3)
          return yield* model.adapter
        })
      const seeds = [1, 2, 3]
      const together = yield* Effect.forEach(seeds, run, { concurrency: "unbounded" })
      assert.deepStrictEqual(together, yield* Effect.forEach(seeds, run))
    })
  )

  it.scoped("is initialized as by PEFT, and a smaller rank is a prefix of a larger one", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const make = (rank: number, chosen = trainAll) =>
        Effect.flatMap(trainer.make(base, { rank, seed: 5, ...chosen }), (model) => model.adapter)
      const [small, large] = [yield* make(4), yield* make(32)]
      const attention = yield* make(4, { train_attn: true, train_mlp: false, train_unembed: false })
      assert.strictEqual(small.lora_alpha, 32)
      assert.strictEqual(Object.keys(small.weights).length, 2 * (2 * 7 + 1))
      assert.strictEqual(Object.keys(attention.weights).length, 2 * (2 * 4))
      for (const [name, { data, shape }] of Object.entries(large.weights)) {
        if (name.includes("lora_B")) {
          assert.isTrue(data.every((value) => value === 0))
          continue
        }
        const bound = 1 / Math.sqrt(shape[1]!)
        const mean = data.reduce((sum, value) => sum + value, 0) / data.length
        const square = data.reduce((sum, value) => sum + value * value, 0) / data.length
        assert.isTrue(data.every((value) => Math.abs(value) <= bound))
        assert.isBelow(Math.abs(mean), 0.06 * bound, name)
        assert.approximately(square / bound ** 2, 1 / 3, 0.04, name)
        assert.deepStrictEqual(data.slice(0, 4 * shape[1]!), small.weights[name]!.data)
        if (name in attention.weights) assert.deepStrictEqual(attention.weights[name], small.weights[name])
      }
      const unseeded = yield* trainer.make(base, { rank: 4, ...trainAll })
      const { lora_config } = yield* unseeded.adapter
      assert.isTrue(Number.isSafeInteger(lora_config.seed))
    })
  )

  it.scoped("continues from a saved state as from the state itself", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const config = { rank: 4, seed: 7, ...trainAll }
      const model = yield* trainer.make(base, config)
      yield* train(model, 2)
      const [adapter, optimizer] = [yield* model.adapter, yield* model.optimizer]
      yield* train(model, 2)
      const expected = yield* model.adapter

      const resumed = yield* trainer.make(base, { ...config, seed: 1 })
      yield* train(resumed, 1)
      yield* resumed.forwardBackward(crossEntropy(data))
      yield* resumed.load(adapter, optimizer)
      yield* train(resumed, 2)
      assert.deepStrictEqual((yield* resumed.adapter).weights, expected.weights)

      yield* resumed.load(adapter, undefined)
      assert.strictEqual((yield* resumed.optimizer).step, 0)
      yield* train(resumed, 2)
      assert.notDeepEqual((yield* resumed.adapter).weights, expected.weights)
      // the saved state is a copy
      assert.notDeepEqual((yield* model.adapter).weights, adapter.weights)
    })
  )

  it.scoped("rejects adapters that do not fit", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const make = (rank: number, chosen = trainAll) => trainer.make(base, { rank, seed: 5, ...chosen })
      const model = yield* make(4)
      const attention = { train_attn: true, train_mlp: false, train_unembed: false }
      const reasonFor = (adapter: Engine.Adapter) => fixtures.userErrorReason(model.load(adapter, undefined))
      assert.include(
        yield* reasonFor(yield* Effect.flatMap(make(8), (other) => other.adapter)),
        "the rank must be the same"
      )
      const other = yield* make(4, attention)
      assert.include(yield* reasonFor(yield* other.adapter), "train_attn, train_mlp and train_unembed must be the same")
      assert.include(
        yield* fixtures.userErrorReason(other.load(yield* model.adapter, undefined)),
        "train_attn, train_mlp and train_unembed must be the same"
      )
      const foreign = { ...(yield* model.adapter), base_model: "another" }
      assert.strictEqual(yield* reasonFor(foreign), "the adapter was trained on another, not on test")
      assert.include(yield* fixtures.userErrorReason(make(2048)), "the largest is 1024")
      const none = { train_attn: false, train_mlp: false, train_unembed: false }
      assert.include(yield* fixtures.userErrorReason(make(4, none)), "nothing to train")
    })
  )

  it.scoped("takes a step without a gradient as with a gradient of zeros", () =>
    Effect.gen(function* () {
      const model = yield* trainer.make(yield* fixtures.loadQwen(), { rank: 4, seed: 7, ...trainAll })
      const before = yield* model.adapter
      const { metrics } = yield* model.optimStep({ ...adamParams, weight_decay: 0.1 })
      assert.deepStrictEqual(metrics, { "unclipped_grad_l2:mean": 0 })
      const after = yield* model.adapter
      for (const [name, { data }] of Object.entries(before.weights)) {
        fixtures.assertNear(
          after.weights[name]!.data,
          data.map((v) => v * (1 - 0.01 * 0.1)),
          name,
          1e-6
        )
      }
      assert.strictEqual((yield* model.optimizer).step, 1)
    })
  )

  it.scoped("takes no step with a gradient that is not finite, and drops the gradient", () =>
    Effect.gen(function* () {
      const model = yield* trainer.make(yield* fixtures.loadQwen(), { rank: 4, seed: 7, ...trainAll })
      const before = yield* model.adapter
      const datum = Datum.make({
        model_input: [1, 2],
        loss_fn_inputs: { target_tokens: [2, 3], logprobs: [-1000, -1], advantages: [1, 1] }
      })
      const { metrics } = yield* model.forwardBackward({
        data: [datum],
        loss_fn: "importance_sampling",
        loss_fn_config: {}
      })
      assert.strictEqual(metrics["loss:sum"], -Infinity)
      assert.include(yield* fixtures.userErrorReason(model.optimStep(adamParams)), "not finite")
      assert.deepStrictEqual(yield* model.adapter, before)
      yield* train(model, 1)
      for (const { data } of Object.values((yield* model.adapter).weights)) assert.isTrue(data.every(Number.isFinite))
    })
  )
})
