import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as TensorData from "@effect-tinker/api/TensorData"
import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { crossEntropy, trainAll } from "../../utils/requests.ts"

const logprobsOf = (outputs: ReadonlyArray<Record<string, TensorData.TensorData>>) =>
  outputs.map((output) => Array.from(output["logprobs"]!.data as Float32Array))

describe("The operations forward and forwardBackward", () => {
  const golden = Datum.make({
    model_input: [10, 11, 12, 13],
    loss_fn_inputs: { target_tokens: [11, 12, 13, 14], weights: [1, 1, 1, 2] }
  })

  it.scoped("give the values of the reference implementations, for any new adapter", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
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
      const [whole, split] = [yield* fixtures.loadQwen(), yield* fixtures.loadQwen(16)]
      const data = [...fixtures.qwen.data["topk"]!, golden, ...fixtures.qwen.data["supervised"]!, golden].map((one) =>
        "model_input" in one ? one : fixtures.datum(one)
      )
      const config = { rank: 4, seed: 1, ...trainAll }
      const adapter = fixtures.makeAdapter(fixtures.peftArrays(fixtures.qwen.lora), 4)
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
      const base = yield* fixtures.loadQwen()
      const config = { rank: 4, seed: 1, ...trainAll }
      const [first, second] = [yield* trainer.make(base, config), yield* trainer.make(base, config)]
      const data = fixtures.qwen.data["supervised"]!.map(fixtures.datum)
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
      const base = yield* fixtures.loadQwen(16)
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
      const base = yield* fixtures.loadQwen()
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
      const model = yield* trainer.make(yield* fixtures.loadQwen(), { rank: 4, seed: 1, ...trainAll })
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
      const model = yield* trainer.make(yield* fixtures.loadQwen(), { rank: 4, seed: 1, ...trainAll })
      const reasonFor = (options: Partial<Engine.PassOptions>) =>
        fixtures.userErrorReason(model.forwardBackward({ ...crossEntropy([golden]), ...options }))
      const withInputs = (
        loss_fn_inputs: Datum.LossFnInputs,
        model_input: ReadonlyArray<number> = [10, 11, 12, 13],
        before: ReadonlyArray<Datum.Datum> = [golden]
      ) => ({
        data: [...before, Datum.make({ model_input, loss_fn_inputs })]
      })
      const policy = { logprobs: [-1, -1, -1, -1], advantages: [1, 1, 1, 1] }
      const long = Array.from({ length: 2049 }, () => 5)
      const cases: ReadonlyArray<readonly [Partial<Engine.PassOptions>, string]> = [
        [
          { loss_fn: "grpo" },
          "the loss function grpo is not supported: supported are cross_entropy, importance_sampling, ppo, cispo, dro, gspo"
        ],
        [{ loss_fn: "gspo" }, "data[0].loss_fn_inputs.logprobs is missing: gspo needs it"],
        [
          {
            loss_fn: "gspo",
            ...withInputs({ target_tokens: [1, 2, 3, 4], ...policy, sequence_ratio_mask: [0, 0, 0, 0] }, undefined, [])
          },
          "data[0].loss_fn_inputs.sequence_ratio_mask is 0 everywhere"
        ],
        [
          {
            loss_fn: "gspo",
            ...withInputs(
              { target_tokens: [1, 2, 3, 4], ...policy, sequence_ratio_mask: [[1], [1], [1], [1]] },
              undefined,
              []
            )
          },
          "sequence_ratio_mask has the shape [4, 1], but target_tokens has [4]"
        ],
        [
          { loss_fn: "stable_reinforce", ...withInputs({ target_tokens: [1, 2, 3, 4], ...policy }, undefined, []) },
          "data[0].loss_fn_inputs.sampled_mask is missing: stable_reinforce needs it"
        ],
        [{ loss_fn_config: { beta: 1 } }, "loss_fn_config has beta, but cross_entropy takes none"],
        [{ loss_fn: "ppo", loss_fn_config: { clip: 1 } }, "takes clip_low_threshold, clip_high_threshold"],
        [{ loss_fn: "stable_reinforce", loss_fn_config: { beta: 1 } }, "stable_reinforce takes kl_coeff"],
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
