import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as TestEngine from "../src/TestEngine.ts"

const lora_config = { rank: 8, train_unembed: true, train_mlp: true, train_attn: true }
const adam = { learning_rate: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-12, weight_decay: 0, grad_clip_norm: 0 }
const params = { max_tokens: 8, temperature: 1, top_k: -1, top_p: 1, seed: 7 }
const data = [Datum.fromPromptCompletion([1, 2], [3, 4, 5])]
const crossEntropy = { data, loss_fn: "cross_entropy" as const, loss_fn_config: {} }
const create = (engine: Engine.Service) => engine.createModel({ base_model: TestEngine.baseModel, lora_config })
const loss = (output: { readonly metrics: { readonly [name: string]: number } }) => output.metrics["loss:sum"]!

describe("TestEngine", () => {
  it.scoped("trains: the loss falls, and the same program gives the same losses", () =>
    Effect.gen(function* () {
      const run = Effect.gen(function* () {
        const { engine } = yield* TestEngine.make()
        const model = yield* create(engine)
        const losses: Array<number> = []
        for (let step = 0; step < 20; step++) {
          losses.push(loss(yield* model.forwardBackward(crossEntropy)))
          yield* model.optimStep(adam)
        }
        return losses
      })
      const losses = yield* run
      assert.isAbove(losses[0]!, 3 * 5)
      assert.isBelow(losses[19]!, losses[0]! * 0.8)
      assert.deepStrictEqual(yield* run, losses)
    })
  )

  it.scoped("accumulates gradients in forwardBackward until a step clears them, but not in forward", () =>
    Effect.gen(function* () {
      const { engine } = yield* TestEngine.make()
      const model = yield* create(engine)
      const norm = (passes: number) =>
        Effect.gen(function* () {
          for (let i = 0; i < passes; i++) yield* model.forwardBackward(crossEntropy)
          yield* model.forward(crossEntropy)
          const { metrics } = yield* model.optimStep({ ...adam, learning_rate: 0 })
          return metrics!["grad_norm:mean"]!
        })
      const one = yield* norm(1)
      assert.closeTo(yield* norm(3), 3 * one, 1e-5)
      assert.strictEqual(yield* norm(0), 0)
    })
  )

  it.scoped("moves logprobs in the direction of the advantages, with every loss of reinforcement learning", () =>
    Effect.gen(function* () {
      const { engine } = yield* TestEngine.make()
      const inputs = { target_tokens: [2, 3, 4], logprobs: [-5, -5.5, -5.6], advantages: [1, -1, 2] }
      const losses = {
        importance_sampling: {},
        ppo: {},
        cispo: {},
        dro: {},
        gspo: { sequence_ratio_mask: [1, 1, 1] },
        stable_reinforce: { sampled_mask: [1, 1, 1] }
      }
      for (const [loss_fn, more] of Object.entries(losses)) {
        const model = yield* create(engine)
        const datum = Datum.make({ model_input: [1, 2, 3], loss_fn_inputs: { ...inputs, ...more } })
        const loss_fn_config = loss_fn === "gspo" ? { clip_low_threshold: 0.1, clip_high_threshold: 10 } : {}
        const options = { data: [datum], loss_fn, loss_fn_config }
        const before = yield* model.forwardBackward(options)
        yield* model.optimStep({ ...adam, learning_rate: 1e-3 })
        const after = yield* model.forward(options)
        const logprobs = (output: typeof before) => TensorData.toNumbers(output.loss_fn_outputs[0]!["logprobs"]!)
        const moved = logprobs(after).map((logprob, i) => Math.sign(logprob - logprobs(before)[i]!))
        assert.deepStrictEqual(moved, [1, -1, 1], loss_fn)
      }
    })
  )

  it.scoped("restores the weights from a copy, with and without the state of the optimizer", () =>
    Effect.gen(function* () {
      const { engine } = yield* TestEngine.make()
      const model = yield* create(engine)
      const step = Effect.andThen(model.forwardBackward(crossEntropy), model.optimStep(adam))
      yield* step
      yield* step
      const adapter = yield* model.adapter
      const optimizer = yield* model.optimizer
      yield* step
      const after = yield* model.adapter
      assert.notDeepEqual(adapter.weights, after.weights)

      const restored = yield* create(engine)
      yield* restored.load(adapter, optimizer)
      yield* restored.forwardBackward(crossEntropy)
      yield* restored.optimStep(adam)
      assert.deepStrictEqual((yield* restored.adapter).weights, after.weights)

      const fresh = yield* create(engine)
      yield* fresh.load(adapter, undefined)
      yield* fresh.forwardBackward(crossEntropy)
      yield* fresh.optimStep(adam)
      assert.notDeepEqual((yield* fresh.adapter).weights, after.weights)
      assert.strictEqual((yield* fresh.optimizer).step, 1)
    })
  )

  it.scoped("samples by seed, stops at stop tokens, and returns the logprobs of the prompt", () =>
    Effect.gen(function* () {
      const { engine } = yield* TestEngine.make()
      const sampler = yield* engine.createSampler({ base_model: TestEngine.baseModel, adapter: undefined })
      const sample = (sampling_params: typeof params & { readonly stop?: ReadonlyArray<number> }, num_samples = 2) =>
        sampler.sample({
          prompt: ModelInput.fromTokens([1, 2, 3]),
          num_samples,
          sampling_params,
          prompt_logprobs: true,
          topk_prompt_logprobs: 2
        })
      const first = yield* sample(params)
      assert.deepStrictEqual(yield* sample(params), first)
      assert.notDeepEqual(first.sequences[0]!.tokens, first.sequences[1]!.tokens)
      const sampled = yield* Effect.forEach([6, 7, 8, 9], (seed) => sample({ ...params, seed }, 16))
      const distinct = new Set(sampled.flatMap(({ sequences }) => sequences.map(({ tokens }) => tokens.join())))
      assert.strictEqual(distinct.size, 64, "neighbouring seeds share samples")
      assert.strictEqual(first.sequences[0]!.stop_reason, "length")
      assert.strictEqual(first.sequences[0]!.logprobs?.length, 8)
      assert.strictEqual(first.prompt_logprobs?.length, 3)
      assert.isTrue(Number.isNaN(first.prompt_logprobs![0]))
      assert.strictEqual(first.topk_prompt_logprobs?.[0], null)
      assert.strictEqual(first.topk_prompt_logprobs?.[2]?.length, 2)

      const stop = first.sequences[0]!.tokens[2]!
      const stopped = (yield* sample({ ...params, stop: [stop] }, 1)).sequences[0]!
      assert.deepStrictEqual(stopped.tokens, first.sequences[0]!.tokens.slice(0, 3))
      assert.strictEqual(stopped.stop_reason, "stop")
    })
  )

  it.scoped("samples tokens as often as their probability says, of all tokens or of the most likely ones", () =>
    Effect.gen(function* () {
      const { engine } = yield* TestEngine.make({ vocabularySize: 4 })
      const sampler = yield* engine.createSampler({ base_model: TestEngine.baseModel, adapter: undefined })
      const num_samples = 4000
      const sample = Effect.fnUntraced(function* (more: Partial<typeof params>) {
        const sampling_params = { ...params, max_tokens: 1, ...more }
        const scored = { prompt_logprobs: false, topk_prompt_logprobs: 0, topk_sample_logprobs: 4 }
        const prompt = ModelInput.fromTokens([3])
        const { sequences } = yield* sampler.sample({ prompt, num_samples, sampling_params, ...scored })
        const counts = [0, 0, 0, 0]
        for (const { tokens } of sequences) counts[tokens[0]!]! += 1
        return { counts, ranked: sequences[0]!.topk_logprobs![0]! }
      })
      // five standard deviations of a share are below 0.04
      const isShared = (counts: ReadonlyArray<number>, weights: ReadonlyArray<readonly [number, number]>) => {
        const total = weights.reduce((sum, [, weight]) => sum + weight, 0)
        assert.strictEqual(
          weights.reduce((sum, [token]) => sum + counts[token]!, 0),
          num_samples
        )
        for (const [token, weight] of weights) assert.closeTo(counts[token]! / num_samples, weight / total, 0.04)
      }
      const { counts, ranked } = yield* sample({})
      const weights = ranked.map(([token, logprob]) => [token, Math.exp(logprob)] as const)
      assert.deepStrictEqual(
        weights,
        weights.slice().sort((a, b) => b[1] - a[1])
      )
      isShared(counts, weights)
      const squares = weights.map(([token, weight]) => [token, weight ** 2] as const)
      isShared((yield* sample({ temperature: 0.5 })).counts, squares)
      isShared((yield* sample({ top_k: 2 })).counts, weights.slice(0, 2))
      isShared((yield* sample({ top_p: weights[0]![1] + 1e-6 })).counts, weights.slice(0, 2))
      isShared((yield* sample({ temperature: 0 })).counts, weights.slice(0, 1))
    })
  )

  it.scoped("fails with category user for unknown tokens, losses and base models", () =>
    Effect.gen(function* () {
      const { engine } = yield* TestEngine.make()
      const model = yield* create(engine)
      const outside = [Datum.fromPromptCompletion([1], [256])]
      const error = yield* Effect.flip(model.forward({ ...crossEntropy, data: outside }))
      assert.strictEqual(error.category, "user")
      assert.match(error.message, /target_tokens\[0\] is 256/)
      assert.match((yield* Effect.flip(model.forward({ ...crossEntropy, loss_fn: "grpo" }))).message, /grpo/)
      assert.match((yield* Effect.flip(engine.createModel({ base_model: "other", lora_config }))).message, /other/)
    })
  )

  it.effect("records operations, fails the one that the test selects, and counts live models", () =>
    Effect.gen(function* () {
      const failure = new Engine.EngineError({ reason: "out of memory", category: "server" })
      const test = yield* TestEngine.make({ before: ({ index }) => (index === 2 ? failure : Effect.void) })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const model = yield* create(test.engine)
          yield* model.forward(crossEntropy)
          assert.strictEqual(yield* Effect.flip(model.optimStep(adam)), failure)
          yield* model.optimStep(adam)
          assert.deepStrictEqual(yield* test.live, { models: 1, samplers: 0 })
        })
      )
      assert.deepStrictEqual(yield* test.live, { models: 0, samplers: 0 })
      const names = (yield* test.operations).map(({ name }) => name)
      assert.deepStrictEqual(names, ["createModel", "forward", "optimStep", "optimStep"])
    })
  )

  it.scoped("dies when two fibers use a model at the same time", () =>
    Effect.gen(function* () {
      const { engine } = yield* TestEngine.make({ before: () => Effect.yieldNow() })
      const model = yield* create(engine)
      const exit = yield* Effect.exit(
        Effect.all([model.forward(crossEntropy), model.optimStep(adam)], { concurrency: "unbounded" })
      )
      assert.isTrue(Exit.isFailure(exit))
    })
  )
})
