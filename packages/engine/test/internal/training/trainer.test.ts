import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as TensorData from "@effect-tinker/api/TensorData"
import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { adamParams, crossEntropy, trainAll } from "../../utils/requests.ts"

const logprobsOf = (outputs: ReadonlyArray<Record<string, TensorData.TensorData>>) =>
  outputs.map((output) => Array.from(output["logprobs"]!.data as Float32Array))

const qwen = fixtures.read<fixtures.Tiny>("tiny-qwen3.json")
const loadQwen = (maxTokensPerRun?: number) => fixtures.load(fixtures.path("tiny-qwen3"), maxTokensPerRun)

describe("forward and forwardBackward", () => {
  const golden = Datum.make({
    model_input: [10, 11, 12, 13],
    loss_fn_inputs: { target_tokens: [11, 12, 13, 14], weights: [1, 1, 1, 2] }
  })

  it.scoped("give the values of other implementations, for any new adapter", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
      const model = yield* trainer.make(base, { rank: 8, seed: 3, ...trainAll })
      const output = yield* model.forward(crossEntropy([golden]))
      const { elementwise_loss, logprobs } = output.loss_fn_outputs[0]!
      fixtures.assertNear(logprobs!.data as Float32Array, [-5.86207, -5.59116, -5.63457, -5.50792], "logprobs", 1e-6)
      fixtures.assertNear(elementwise_loss!.data as Float32Array, [5.86207, 5.59116, 5.63457, 11.01584], "losses", 1e-6)
      assert.approximately(output.metrics["loss:sum"]!, 28.10364, 1e-4)
      assert.strictEqual(output.loss_fn_output_type, "ArrayRecord")

      const zeroFirst = Datum.make({
        model_input: golden.model_input,
        loss_fn_inputs: { ...golden.loss_fn_inputs, weights: [0, 1, 1, 2] }
      })
      const { metrics } = yield* model.forward(crossEntropy([zeroFirst]))
      assert.approximately(metrics["loss:sum"]!, 22.24157, 1e-4)
      const policy = Datum.make({
        model_input: golden.model_input,
        loss_fn_inputs: {
          target_tokens: [11, 12, 13, 14],
          logprobs: [-5, -5.5, -5.6, -5.7],
          advantages: [1, -1, 2, 0]
        }
      })
      const expected = [
        ["importance_sampling", {}, -1.44146],
        ["ppo", {}, -1.44146],
        ["cispo", { clip_low_threshold: 0.9, clip_high_threshold: 1.1 }, 11.05806],
        ["dro", { beta: 0.05 }, 11.55979]
      ] as const
      for (const [loss_fn, loss_fn_config, loss] of expected) {
        const { metrics } = yield* model.forward({ data: [policy], loss_fn, loss_fn_config })
        assert.approximately(metrics["loss:sum"]!, loss, 2e-4, loss_fn)
      }
    })
  )

  it.scoped("accept data of mixed lengths and numbers of targets, and split them into microbatches", () =>
    Effect.gen(function* () {
      const [whole, split] = [yield* loadQwen(), yield* loadQwen(16)]
      const data = [...qwen.data["topk"]!, golden, ...qwen.data["supervised"]!, golden].map((one) =>
        "model_input" in one ? one : fixtures.datum(one)
      )
      const config = { rank: 4, seed: 1, ...trainAll }
      const adapter = fixtures.makeAdapter(fixtures.peftArrays(qwen.lora), 4)
      const results = yield* Effect.forEach([whole, split], (base) =>
        Effect.gen(function* () {
          const model = yield* trainer.make(base, config)
          yield* model.load(adapter, undefined)
          const output = yield* model.forwardBackward(crossEntropy(data))
          return [output, yield* fixtures.takeGradient(model)] as const
        })
      )
      const [[a, gradientA], [b, gradientB]] = results as [(typeof results)[0], (typeof results)[0]]
      fixtures.assertNear([a.metrics["loss:sum"]!], [b.metrics["loss:sum"]!], "loss", 1e-6)
      for (const name of Object.keys(gradientA)) fixtures.assertNear(gradientA[name]!, gradientB[name]!, name, 1e-5)
      data.forEach((datum, i) => {
        const { elementwise_loss, logprobs } = a.loss_fn_outputs[i]!
        assert.deepStrictEqual(logprobs!.shape, datum.loss_fn_inputs["target_tokens"]!.shape)
        assert.deepStrictEqual(elementwise_loss!.shape, logprobs!.shape)
        fixtures.assertNear(
          logprobs!.data as Float32Array,
          b.loss_fn_outputs[i]!["logprobs"]!.data as Float32Array,
          "",
          1e-6
        )
      })
    })
  )

  it.scoped("accumulate gradients until a step clears them; forward does not change them", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
      const config = { rank: 4, seed: 1, ...trainAll }
      const [first, second] = [yield* trainer.make(base, config), yield* trainer.make(base, config)]
      const data = qwen.data["supervised"]!.map(fixtures.datum)
      yield* first.forwardBackward(crossEntropy(data))
      yield* second.forwardBackward(crossEntropy(data.slice(0, 1)))
      yield* second.forward(crossEntropy(data))
      yield* second.forwardBackward(crossEntropy(data.slice(1)))
      const [a, b] = [yield* fixtures.takeGradient(first), yield* fixtures.takeGradient(second)]
      for (const name of Object.keys(a)) fixtures.assertNear(a[name]!, b[name]!, name, 1e-5)
      for (const values of Object.values(yield* fixtures.takeGradient(first)))
        assert.isTrue(values.every((v) => v === 0))
    })
  )

  it.scoped("add no gradient if they are interrupted", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen(16)
      const model = yield* trainer.make(base, { rank: 4, seed: 1, ...trainAll })
      const data = Array.from({ length: 20 }, () => golden)
      const fiber = yield* Effect.fork(model.forwardBackward(crossEntropy(data)))
      // by then some microbatches have run, but not all
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 1)))
      yield* fiber.interruptAsFork(fiber.id())
      yield* Fiber.await(fiber)
      const gradient = yield* fixtures.takeGradient(model)
      for (const values of Object.values(gradient)) assert.isTrue(values.every((v) => v === 0))
    })
  )

  it.scoped("use weights of 1 where there are none, and accept sparse targets", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
      const model = yield* trainer.make(base, { rank: 4, seed: 1, ...trainAll })
      const bare = Datum.make({ model_input: golden.model_input, loss_fn_inputs: { target_tokens: [11, 12, 13, 14] } })
      const { metrics } = yield* model.forward(crossEntropy([bare]))
      assert.approximately(metrics["loss:sum"]!, 5.86207 + 5.59116 + 5.63457 + 5.50792, 1e-4)
      const dense = Datum.make({
        model_input: golden.model_input,
        loss_fn_inputs: {
          target_tokens: [
            [11, 5, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0],
            [13, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0]
          ],
          weights: [
            [1, 0.5, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0],
            [2, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0]
          ]
        }
      })
      const sparse = Datum.sparsify(dense)
      assert.notDeepEqual(dense, sparse)
      const outputs = yield* Effect.forEach([dense, sparse], (datum) => model.forward(crossEntropy([datum])))
      assert.deepStrictEqual(outputs[0], outputs[1])
      const unweighted = { ...sparse, loss_fn_inputs: { target_tokens: sparse.loss_fn_inputs["target_tokens"]! } }
      const sum = (yield* model.forward(crossEntropy([unweighted]))).metrics["loss:sum"]!
      const [lp] = logprobsOf((yield* model.forward(crossEntropy([dense]))).loss_fn_outputs)
      assert.approximately(sum, -(lp![0]! + lp![1]! + lp![12]!), 1e-4)
    })
  )

  it.scoped("give an empty output for an empty batch", () =>
    Effect.gen(function* () {
      const model = yield* trainer.make(yield* loadQwen(), { rank: 4, seed: 1, ...trainAll })
      const output = yield* model.forwardBackward(crossEntropy([]))
      assert.deepStrictEqual(output, {
        loss_fn_output_type: "ArrayRecord",
        loss_fn_outputs: [],
        metrics: { "loss:sum": 0 }
      })
    })
  )

  it.scoped("reject invalid data, with the place and the reason", () =>
    Effect.gen(function* () {
      const model = yield* trainer.make(yield* loadQwen(), { rank: 4, seed: 1, ...trainAll })
      const reasonFor = (options: Partial<Engine.PassOptions>) =>
        fixtures.userErrorReason(model.forwardBackward({ ...crossEntropy([golden]), ...options }))
      const withInputs = (
        loss_fn_inputs: Datum.LossFnInputs,
        model_input: ReadonlyArray<number> = [10, 11, 12, 13]
      ) => ({
        data: [golden, Datum.make({ model_input, loss_fn_inputs })]
      })
      const long = Array.from({ length: 2049 }, () => 5)
      const cases: ReadonlyArray<readonly [Partial<Engine.PassOptions>, string]> = [
        [
          { loss_fn: "gspo" },
          "the loss function gspo is not supported: supported are cross_entropy, importance_sampling"
        ],
        [{ loss_fn_config: { beta: 1 } }, "loss_fn_config has beta, but cross_entropy takes none"],
        [{ loss_fn: "ppo", loss_fn_config: { clip: 1 } }, "takes clip_low_threshold, clip_high_threshold"],
        [{ loss_fn: "ppo" }, "data[0].loss_fn_inputs.logprobs is missing"],
        [withInputs({}), "data[1].loss_fn_inputs.target_tokens is missing"],
        [withInputs({ target_tokens: [1, 2, 3] }), "data[1].loss_fn_inputs.target_tokens has length 3"],
        [withInputs({ target_tokens: [1, 2, 3, 259] }), "target_tokens[3] is 259, but the vocabulary has 259 tokens"],
        [withInputs({ target_tokens: [1, -2, 3, 4] }), "target_tokens[1] is -2"],
        [withInputs({ target_tokens: [1, 2, 3, 4] }, [1, 300, 3, 4]), "data[1].model_input: token 1 is 300"],
        [withInputs({ target_tokens: long }, long), "has 2049 tokens, but the context of test has 2048"],
        [
          withInputs({ target_tokens: [1, 2, 3, 4], weights: [[1], [1], [1], [1]] }),
          "weights has the shape [4, 1], but target_tokens has [4]"
        ]
      ]
      for (const [options, reason] of cases) assert.include(yield* reasonFor(options), reason)
      const image: Datum.Datum = {
        model_input: ModelInput.make(ModelInput.image({ data: new Uint8Array(1), format: "png", expected_tokens: 4 })),
        loss_fn_inputs: golden.loss_fn_inputs
      }
      assert.include(yield* reasonFor({ data: [image] }), "data[0].model_input has chunks that are not text")
    })
  )
})

describe("A model in training", () => {
  const data = qwen.data["supervised"]!.map(fixtures.datum)
  const train = (model: Engine.EngineModel, steps: number) =>
    Effect.replicateEffect(
      Effect.andThen(model.forwardBackward(crossEntropy(data)), model.optimStep(adamParams)),
      steps,
      { discard: true }
    )

  it.scoped("is equal to the bit for equal seeds and data, and differs for another seed", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
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
      const base = yield* loadQwen()
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
      const base = yield* loadQwen(64)
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
      const base = yield* loadQwen()
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
      const base = yield* loadQwen()
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
      const base = yield* loadQwen()
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
      const model = yield* trainer.make(yield* loadQwen(), { rank: 4, seed: 7, ...trainAll })
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
      const model = yield* trainer.make(yield* loadQwen(), { rank: 4, seed: 7, ...trainAll })
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
