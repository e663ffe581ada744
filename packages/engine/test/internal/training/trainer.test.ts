import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as TensorData from "@effect-tinker/api/TensorData"
import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as fixtures from "../../utils/fixtures.ts"

const withZeroB = (arrays: Record<string, Float32Array>) =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, data]) => [name, name.includes("lora_B") ? new Float32Array(data.length) : data])
  )

const crossEntropy = (data: ReadonlyArray<Datum.Datum>): Engine.PassOptions => ({
  data,
  loss_fn: "cross_entropy",
  loss_fn_config: {}
})

const logprobsOf = (outputs: ReadonlyArray<Record<string, TensorData.TensorData>>) =>
  outputs.map((output) => Array.from(output["logprobs"]!.data as Float32Array))

const qwen = fixtures.read<fixtures.Tiny>("tiny-qwen3.json")
const loadQwen = (maxTokensPerRun?: number) => fixtures.load(fixtures.path("tiny-qwen3"), maxTokensPerRun)

const runs = ["tiny-qwen3", "tiny-llama"].flatMap((name) =>
  fixtures.executorsHere.map((executor) => [name, executor] as const)
)

for (const [name, executor] of runs) {
  describe(`${name} on ${executor} against the reference`, () => {
    const fixture = fixtures.read<fixtures.Tiny>(`${name}.json`)

    it.scoped("has its losses, logprobs and gradients", () =>
      Effect.gen(function* () {
        const base = yield* fixtures.load(fixtures.path(name), undefined, executor)
        for (const one of fixture.cases) {
          const model = yield* trainer.make(base, { rank: fixture.rank, seed: 0, ...one.switches })
          const chosen = Object.fromEntries(Object.entries(fixture.lora).filter(([name]) => name in one.grads))
          const arrays = one.zero_b ? withZeroB(fixtures.peft(chosen)) : fixtures.peft(chosen)
          yield* model.load(fixtures.adapterOf(arrays, fixture.rank, one.switches), undefined)
          const data = fixture.data[one.data]!.map(fixtures.datum)
          const options = { data, loss_fn: one.loss_fn, loss_fn_config: one.config }
          const output = yield* model.forwardBackward(options)
          fixtures.near([output.metrics["loss:sum"]!], [one.loss], one.name)
          one.logprobs.forEach((expected, i) => {
            const { data, shape } = output.loss_fn_outputs[i]!["logprobs"]!
            fixtures.near(data as Float32Array, fixtures.floats(expected), one.name)
            assert.deepStrictEqual(shape, expected.shape)
          })
          const gradient = yield* fixtures.takeGradient(model)
          for (const [weight, expected] of Object.entries(fixtures.peft(one.grads))) {
            fixtures.near(gradient[weight]!, expected, `${one.name} ${weight}`)
          }
        }
      })
    )

    it.scoped("takes its optimizer steps", () =>
      Effect.gen(function* () {
        const base = yield* fixtures.load(fixtures.path(name), undefined, executor)
        for (const one of fixture.adamw) {
          const model = yield* trainer.make(base, { rank: one.rank, seed: 0, ...fixtures.switches })
          yield* model.load(fixtures.adapterOf(fixtures.peft(one.lora), one.rank), undefined)
          const data = fixture.data[one.data]!.map(fixtures.datum)
          for (const step of one.steps) {
            const output = yield* model.forwardBackward({ data, loss_fn: one.loss_fn, loss_fn_config: {} })
            const { metrics } = yield* model.optimStep(one.adam)
            fixtures.near([output.metrics["loss:sum"]!], [step.loss], one.name, 1e-5)
            fixtures.near([metrics!["unclipped_grad_l2:mean"]!], [step.grad_norm], one.name, 1e-3)
            // in steps: Adam moves a weight by the sign of its gradient, even where that is little more than rounding
            const { weights } = yield* model.adapter
            for (const [weight, expected] of Object.entries(fixtures.peft(step.lora))) {
              const off = weights[weight]!.data.map((value, i) => (value - expected[i]!) / one.adam.learning_rate)
              const square = off.reduce((sum, value) => sum + value * value, 0) / off.length
              assert.isBelow(Math.max(...off.map(Math.abs)), 1e-2, weight)
              assert.isBelow(Math.sqrt(square), 1e-3, weight)
            }
          }
        }
      })
    )
  })
}

describe("forward and forwardBackward", () => {
  const golden = Datum.make({
    model_input: [10, 11, 12, 13],
    loss_fn_inputs: { target_tokens: [11, 12, 13, 14], weights: [1, 1, 1, 2] }
  })

  it.scoped("give the values that other implementations give, from any fresh adapter", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
      const model = yield* trainer.make(base, { rank: 8, seed: 3, ...fixtures.switches })
      const output = yield* model.forward(crossEntropy([golden]))
      const { elementwise_loss, logprobs } = output.loss_fn_outputs[0]!
      fixtures.near(logprobs!.data as Float32Array, [-5.86207, -5.59116, -5.63457, -5.50792], "logprobs", 1e-6)
      fixtures.near(elementwise_loss!.data as Float32Array, [5.86207, 5.59116, 5.63457, 11.01584], "losses", 1e-6)
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

  it.scoped("take any mixture of lengths and widths, and split what is too much for one run", () =>
    Effect.gen(function* () {
      const [whole, split] = [yield* loadQwen(), yield* loadQwen(16)]
      const data = [...qwen.data["topk"]!, golden, ...qwen.data["supervised"]!, golden].map((one) =>
        "model_input" in one ? one : fixtures.datum(one)
      )
      const config = { rank: 4, seed: 1, ...fixtures.switches }
      const adapter = fixtures.adapterOf(fixtures.peft(qwen.lora), 4)
      const results = yield* Effect.forEach([whole, split], (base) =>
        Effect.gen(function* () {
          const model = yield* trainer.make(base, config)
          yield* model.load(adapter, undefined)
          const output = yield* model.forwardBackward(crossEntropy(data))
          return [output, yield* fixtures.takeGradient(model)] as const
        })
      )
      const [[a, gradientA], [b, gradientB]] = results as [(typeof results)[0], (typeof results)[0]]
      fixtures.near([a.metrics["loss:sum"]!], [b.metrics["loss:sum"]!], "loss", 1e-6)
      for (const name of Object.keys(gradientA)) fixtures.near(gradientA[name]!, gradientB[name]!, name, 1e-5)
      data.forEach((datum, i) => {
        const { elementwise_loss, logprobs } = a.loss_fn_outputs[i]!
        assert.deepStrictEqual(logprobs!.shape, datum.loss_fn_inputs["target_tokens"]!.shape)
        assert.deepStrictEqual(elementwise_loss!.shape, logprobs!.shape)
        fixtures.near(logprobs!.data as Float32Array, b.loss_fn_outputs[i]!["logprobs"]!.data as Float32Array, "", 1e-6)
      })
    })
  )

  it.scoped("add up gradients until a step, which forward leaves alone and the step clears", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
      const config = { rank: 4, seed: 1, ...fixtures.switches }
      const [first, second] = [yield* trainer.make(base, config), yield* trainer.make(base, config)]
      const data = qwen.data["supervised"]!.map(fixtures.datum)
      yield* first.forwardBackward(crossEntropy(data))
      yield* second.forwardBackward(crossEntropy(data.slice(0, 1)))
      yield* second.forward(crossEntropy(data))
      yield* second.forwardBackward(crossEntropy(data.slice(1)))
      const [a, b] = [yield* fixtures.takeGradient(first), yield* fixtures.takeGradient(second)]
      for (const name of Object.keys(a)) fixtures.near(a[name]!, b[name]!, name, 1e-5)
      for (const values of Object.values(yield* fixtures.takeGradient(first)))
        assert.isTrue(values.every((v) => v === 0))
    })
  )

  it.scoped("leave no part of a pass that fails or is interrupted", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen(16)
      const model = yield* trainer.make(base, { rank: 4, seed: 1, ...fixtures.switches })
      const data = Array.from({ length: 20 }, () => golden)
      const fiber = yield* Effect.fork(model.forwardBackward(crossEntropy(data)))
      // the first runs are done by then, and more are to come
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 1)))
      yield* fiber.interruptAsFork(fiber.id())
      yield* fiber.await
      const gradient = yield* fixtures.takeGradient(model)
      for (const values of Object.values(gradient)) assert.isTrue(values.every((v) => v === 0))
    })
  )

  it.scoped("take weights as 1 where there are none, and sparse targets", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
      const model = yield* trainer.make(base, { rank: 4, seed: 1, ...fixtures.switches })
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

  it.scoped("give nothing for nothing", () =>
    Effect.gen(function* () {
      const model = yield* trainer.make(yield* loadQwen(), { rank: 4, seed: 1, ...fixtures.switches })
      const output = yield* model.forwardBackward(crossEntropy([]))
      assert.deepStrictEqual(output, {
        loss_fn_output_type: "ArrayRecord",
        loss_fn_outputs: [],
        metrics: { "loss:sum": 0 }
      })
    })
  )

  it.scoped("refuse what they cannot use, and say what and where", () =>
    Effect.gen(function* () {
      const model = yield* trainer.make(yield* loadQwen(), { rank: 4, seed: 1, ...fixtures.switches })
      const refused = (options: Partial<Engine.PassOptions>) =>
        fixtures.refusal(model.forwardBackward({ ...crossEntropy([golden]), ...options }))
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
      for (const [options, reason] of cases) assert.include(yield* refused(options), reason)
      const image: Datum.Datum = {
        model_input: ModelInput.make(ModelInput.image({ data: new Uint8Array(1), format: "png", expected_tokens: 4 })),
        loss_fn_inputs: golden.loss_fn_inputs
      }
      assert.include(yield* refused({ data: [image] }), "data[0].model_input has chunks that are not text")
    })
  )
})

describe("losses", () => {
  it.scoped("have the gradients that finite differences show", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
      const start = fixtures.peft(qwen.lora)
      const losses = [
        ["cross_entropy", "signed", {}],
        ["cross_entropy", "topk", {}],
        ["importance_sampling", "reinforced", {}],
        ["ppo", "reinforced", {}],
        ["ppo", "reinforced", { clip_low_threshold: 0.9, clip_high_threshold: 1.6 }],
        ["dro", "reinforced", { beta: 0.3 }]
      ] as const
      const model = yield* trainer.make(base, { rank: qwen.rank, seed: 0, ...fixtures.switches })
      const load = (arrays: Record<string, Float32Array>) =>
        model.load(fixtures.adapterOf(arrays, qwen.rank), undefined)
      // one direction for all weights, of about the weights' own size
      const direction = Object.fromEntries(
        Object.entries(start).map(([name, data]) => [
          name,
          data.map((_, i) => 0.1 * Math.sin(i * 12.9898 + name.length))
        ])
      )
      const moved = (by: number) =>
        Object.fromEntries(
          Object.entries(start).map(([name, data]) => [name, data.map((v, i) => v + by * direction[name]![i]!)])
        )
      for (const [loss_fn, group, loss_fn_config] of losses) {
        const options = { data: qwen.data[group]!.map(fixtures.datum), loss_fn, loss_fn_config }
        const lossAt = (by: number) =>
          Effect.zipRight(
            load(moved(by)),
            Effect.map(model.forward(options), ({ metrics }) => metrics["loss:sum"]!)
          )
        yield* load(start)
        yield* model.forwardBackward(options)
        const gradient = yield* fixtures.takeGradient(model)
        let slope = 0
        for (const [name, values] of Object.entries(gradient)) {
          for (let i = 0; i < values.length; i++) slope += values[i]! * direction[name]![i]!
        }
        const h = 0.01
        const difference = ((yield* lossAt(h)) - (yield* lossAt(-h))) / (2 * h)
        assert.approximately(difference, slope, 0.01 * Math.abs(slope) + 0.01, `${loss_fn} ${group}`)
      }
    })
  )

  it.scoped("take thresholds per token, and hold still where the advantage is 0", () =>
    Effect.gen(function* () {
      const model = yield* trainer.make(yield* loadQwen(), { rank: 4, seed: 1, ...fixtures.switches })
      const inputs = {
        target_tokens: [11, 12, 13, 14],
        // the last ratio would overflow
        logprobs: [-7, -7, -7, -1000],
        advantages: [1, 1, 1, 0]
      }
      const pass = (loss_fn: string, more: Datum.LossFnInputs = {}) =>
        model.forwardBackward({
          data: [Datum.make({ model_input: [10, 11, 12, 13], loss_fn_inputs: { ...inputs, ...more } })],
          loss_fn,
          loss_fn_config: {}
        })
      const { loss_fn_outputs } = yield* pass("ppo", {
        clip_low_threshold: [0, 0, 0, 0],
        clip_high_threshold: [1.5, 2, 2.5, 3]
      })
      fixtures.near(loss_fn_outputs[0]!["elementwise_loss"]!.data as Float32Array, [-1.5, -2, -2.5, 0])
      for (const loss_fn of ["importance_sampling", "ppo", "cispo"]) {
        const { loss_fn_outputs } = yield* pass(loss_fn)
        assert.strictEqual((loss_fn_outputs[0]!["elementwise_loss"]!.data as Float32Array)[3], 0)
        for (const values of Object.values(yield* fixtures.takeGradient(model))) {
          assert.isTrue(values.every(Number.isFinite), loss_fn)
        }
      }
    })
  )
})

describe("a model", () => {
  const data = qwen.data["supervised"]!.map(fixtures.datum)
  const train = (model: Engine.EngineModel, steps: number) =>
    Effect.replicateEffect(
      Effect.zipRight(model.forwardBackward(crossEntropy(data)), model.optimStep(fixtures.adamParams)),
      steps,
      { discard: true }
    )

  it.scoped("is the same to the bit from equal seeds and data, and another from another seed", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
      const models = yield* Effect.forEach([7, 7, 8], (seed) =>
        trainer.make(base, { rank: 4, seed, ...fixtures.switches })
      )
      for (const model of models) yield* train(model, 3)
      const [a, b, c] = yield* Effect.forEach(models, (model) => model.adapter)
      assert.deepStrictEqual(a, b)
      assert.notDeepEqual(a!.weights, c!.weights)
      assert.deepStrictEqual(yield* models[0]!.optimizer, yield* models[1]!.optimizer)
    })
  )

  it.scoped("learns the same to the bit whatever other models of the same base do meanwhile", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
      const make = (seed: number) => trainer.make(base, { rank: 4, seed, ...fixtures.switches })
      const alone = yield* make(7)
      yield* train(alone, 3)

      const [model, idle, other] = [yield* make(7), yield* make(8), yield* make(9)]
      const before = yield* idle.adapter
      // the other decays, accumulates and fails in between
      const disturb = Effect.gen(function* () {
        yield* other.forwardBackward(crossEntropy(data.slice(0, 1)))
        yield* other.optimStep({ ...fixtures.adamParams, learning_rate: 0.1, weight_decay: 0.5 })
        yield* other.forwardBackward(crossEntropy(data))
        yield* Effect.flip(other.forward({ ...crossEntropy(data), loss_fn: "none" }))
      })
      for (let i = 0; i < 3; i++) {
        yield* disturb
        yield* model.forwardBackward(crossEntropy(data))
        yield* disturb
        yield* model.optimStep(fixtures.adamParams)
      }
      assert.deepStrictEqual(yield* model.adapter, yield* alone.adapter)
      assert.deepStrictEqual(yield* model.optimizer, yield* alone.optimizer)
      assert.deepStrictEqual(yield* idle.adapter, before)
    })
  )

  it.scoped("learns the same to the bit when models train at the same time", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen(64)
      const run = (seed: number) =>
        Effect.gen(function* () {
          const model = yield* trainer.make(base, { rank: 4, seed, ...fixtures.switches })
          yield* train(model, 3)
          return yield* model.adapter
        })
      const seeds = [1, 2, 3]
      const together = yield* Effect.forEach(seeds, run, { concurrency: "unbounded" })
      assert.deepStrictEqual(together, yield* Effect.forEach(seeds, run))
    })
  )

  it.scoped("starts as PEFT does, and a smaller rank as the beginning of a larger one", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
      const make = (rank: number, chosen = fixtures.switches) =>
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
      const unseeded = yield* trainer.make(base, { rank: 4, ...fixtures.switches })
      const { lora_config } = yield* unseeded.adapter
      assert.isTrue(Number.isSafeInteger(lora_config.seed))
    })
  )

  it.scoped("goes on from a saved state as if it had not been saved", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
      const config = { rank: 4, seed: 7, ...fixtures.switches }
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
      // what was saved is a copy
      assert.notDeepEqual((yield* model.adapter).weights, adapter.weights)
    })
  )

  it.scoped("refuses states that do not fit", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen()
      const make = (rank: number, chosen = fixtures.switches) => trainer.make(base, { rank, seed: 5, ...chosen })
      const model = yield* make(4)
      const attention = { train_attn: true, train_mlp: false, train_unembed: false }
      const refused = (adapter: Engine.Adapter) => fixtures.refusal(model.load(adapter, undefined))
      assert.include(
        yield* refused(yield* Effect.flatMap(make(8), (other) => other.adapter)),
        "the rank must be the same"
      )
      const other = yield* make(4, attention)
      assert.include(yield* refused(yield* other.adapter), "train_attn, train_mlp and train_unembed must be the same")
      assert.include(
        yield* fixtures.refusal(other.load(yield* model.adapter, undefined)),
        "train_attn, train_mlp and train_unembed must be the same"
      )
      const foreign = { ...(yield* model.adapter), base_model: "another" }
      assert.strictEqual(yield* refused(foreign), "the adapter was trained on another, not on test")
      assert.include(yield* fixtures.refusal(make(2048)), "the largest is 1024")
      const none = { train_attn: false, train_mlp: false, train_unembed: false }
      assert.include(yield* fixtures.refusal(make(4, none)), "nothing to train")
    })
  )

  it.scoped("steps without a gradient as with one of zero", () =>
    Effect.gen(function* () {
      const model = yield* trainer.make(yield* loadQwen(), { rank: 4, seed: 7, ...fixtures.switches })
      const before = yield* model.adapter
      const { metrics } = yield* model.optimStep({ ...fixtures.adamParams, weight_decay: 0.1 })
      assert.deepStrictEqual(metrics, { "unclipped_grad_l2:mean": 0 })
      const after = yield* model.adapter
      for (const [name, { data }] of Object.entries(before.weights)) {
        fixtures.near(
          after.weights[name]!.data,
          data.map((v) => v * (1 - 0.01 * 0.1)),
          name,
          1e-6
        )
      }
      assert.strictEqual((yield* model.optimizer).step, 1)
    })
  )

  it.scoped("refuses a step by a gradient that is not finite, and forgets that gradient", () =>
    Effect.gen(function* () {
      const model = yield* trainer.make(yield* loadQwen(), { rank: 4, seed: 7, ...fixtures.switches })
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
      assert.include(yield* fixtures.refusal(model.optimStep(fixtures.adamParams)), "not finite")
      assert.deepStrictEqual(yield* model.adapter, before)
      yield* train(model, 1)
      for (const { data } of Object.values((yield* model.adapter).weights)) assert.isTrue(data.every(Number.isFinite))
    })
  )
})
