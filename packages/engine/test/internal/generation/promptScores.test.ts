import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as sampler from "../../../src/internal/generation/sampler.ts"
import type { LoadedModel } from "../../../src/internal/model/loaded.ts"
import * as rowAdapter from "../../../src/internal/lora/rowAdapter.ts"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { crossEntropy, sampleRequest, type SampleOptions, trainAll } from "../../utils/requests.ts"

const prompt = [10, 11, 12, 13, 40]

const sample = (base: LoadedModel, options: SampleOptions) =>
  sampler.sample(base, rowAdapter.none, sampleRequest({ prompt, ...options }))

/** The logprob of a token after others, by the forward program of training. */
const logprobAfter = (base: LoadedModel, tokens: ReadonlyArray<number>, next: number) =>
  Effect.gen(function* () {
    const model = yield* trainer.make(base, { rank: 1, seed: 0, ...trainAll })
    const target_tokens = TensorData.int64([...tokens.slice(1), next])
    const datum = { model_input: ModelInput.fromTokens(tokens), loss_fn_inputs: { target_tokens } }
    const { loss_fn_outputs } = yield* model.forward(crossEntropy([datum]))
    return (loss_fn_outputs[0]!["logprobs"]!.data as Float32Array)[tokens.length - 1]!
  })

describe("The score of a prompt", () => {
  it.scoped("has the logprobs of the forward program of training for chosen tokens, dense and sparse", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const ids = [[-1, 5], [7, -1], [-1, -1], [200, 201]] // prettier-ignore
      const expected = new Float32Array(8)
      for (const [row, tokens] of ids.entries()) {
        for (const [column, token] of tokens.entries()) {
          if (token >= 0) expected[row * 2 + column] = yield* logprobAfter(base, prompt.slice(0, row + 1), token)
        }
      }
      const dense = yield* sample(base, { target_prompt_logprobs: TensorData.int64(ids) })
      const scored = dense.target_prompt_logprobs!
      assert.deepStrictEqual(scored.shape, [4, 2])
      assert.strictEqual(scored.dtype, "float32")
      fixtures.assertNear(scored.data as Float32Array, expected, "dense", 1e-5)
      assert.strictEqual(scored.data[0], 0)
      const sparse: TensorData.TensorData = {
        dtype: "int64",
        data: Int32Array.of(5, 7, 200, 201),
        shape: [4, 2],
        sparse_crow_indices: Int32Array.of(0, 1, 2, 2, 4),
        sparse_col_indices: Int32Array.of(1, 0, 0, 1)
      }
      const response = yield* sample(base, { target_prompt_logprobs: sparse })
      const { data: _, ...layout } = response.target_prompt_logprobs!
      assert.deepStrictEqual(layout, {
        dtype: "float32",
        shape: [4, 2],
        sparse_crow_indices: sparse.sparse_crow_indices!,
        sparse_col_indices: sparse.sparse_col_indices!
      })
      assert.deepStrictEqual(
        TensorData.toNumbers(response.target_prompt_logprobs!),
        [1, 2, 6, 7].map((i) => Number(scored.data[i]))
      )
    })
  )

  it.scoped("covers only the last tokens with prompt_logprobs_last_n", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const all = yield* sample(base, { prompt_logprobs: true, topk_prompt_logprobs: 3 })
      const last = yield* sample(base, { prompt_logprobs: true, topk_prompt_logprobs: 3, prompt_logprobs_last_n: 2 })
      assert.deepStrictEqual(Array.from(last.prompt_logprobs!), [NaN, NaN, NaN, ...all.prompt_logprobs!.slice(3)])
      assert.deepStrictEqual(last.topk_prompt_logprobs, [null, null, null, ...all.topk_prompt_logprobs!.slice(3)])
    })
  )

  it.scoped("has the most likely tokens of each sampled position", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const { sequences } = yield* sample(base, { num_samples: 2, topk_sample_logprobs: 3, params: { max_tokens: 4 } })
      for (const { tokens, topk_logprobs } of sequences) {
        assert.strictEqual(topk_logprobs!.length, tokens.length)
        for (const [i, row] of topk_logprobs!.entries()) {
          const before = [...prompt, ...tokens.slice(0, i)]
          assert.strictEqual(row!.length, 3)
          for (const [token, logprob] of row!) {
            assert.approximately(logprob, yield* logprobAfter(base, before, token), 1e-5)
          }
          const sampled = yield* logprobAfter(base, before, tokens[i]!)
          const isListed = row!.some(([token]) => token === tokens[i])
          if (!isListed) assert.isBelow(sampled, row![2]![1] + 1e-5)
        }
      }
    })
  )

  it.scoped("has tokens drawn in the place of the prompt's, at the temperature of the request", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const size = base.config.vocab_size
      const options = { prompt_alt_tokens_k: 4000, topk_prompt_logprobs: size, params: { temperature: 0.5 } }
      const response = yield* sample(base, options)
      const { logprobs, tokens } = response.prompt_alt_tokens!
      assert.deepStrictEqual([tokens.shape, logprobs.shape], [[4, 4000], [4, 4000]]) // prettier-ignore
      for (const row of [0, 3]) {
        const distribution = new Map(response.topk_prompt_logprobs![row + 1]!)
        const drawn = Array.from(tokens.data.slice(row * 4000, (row + 1) * 4000), Number)
        drawn.forEach((token, j) =>
          assert.approximately(Number(logprobs.data[row * 4000 + j]), distribution.get(token)!, 1e-5)
        )
        const [best, top] = response.topk_prompt_logprobs![row + 1]![0]!
        const total = Array.from(distribution.values(), (lp) => Math.exp(lp / 0.5)).reduce((sum, p) => sum + p, 0)
        const share = drawn.filter((token) => token === best).length / drawn.length
        // five standard deviations of 4,000 draws are at most 0.04
        assert.approximately(share, Math.exp(top / 0.5) / total, 0.04)
      }
      const again = yield* sample(base, options)
      assert.deepStrictEqual(again.prompt_alt_tokens, response.prompt_alt_tokens)
      const greedy = yield* sample(base, { ...options, prompt_alt_tokens_k: 2, params: { temperature: 0 } })
      const most = greedy.topk_prompt_logprobs!.slice(1).flatMap((row) => [row![0]![0], row![0]![0]])
      assert.deepStrictEqual(Array.from(greedy.prompt_alt_tokens!.tokens.data, Number), most)
    })
  )

  it.scoped("is rejected for tokens outside the vocabulary", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const targets = TensorData.int64([[1], [2], [3], [5000]])
      const error = yield* Effect.flip(sample(base, { target_prompt_logprobs: targets }))
      assert.strictEqual(error.category, "user")
      assert.include(error.reason, "target_prompt_logprobs[3] is 5000")
    })
  )

  it.scoped("is scored for a prompt that fills the context, though nothing more can be sampled", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const full = Array.from({ length: base.config.max_context_length }, (_, i) => i % 200)
      const scored = yield* sample(base, { prompt: full, prompt_logprobs: true, params: { max_tokens: 1 } })
      const last = yield* logprobAfter(base, full.slice(0, -1), full[full.length - 1]!)
      assert.approximately(scored.prompt_logprobs![full.length - 1]!, last, 1e-4)
      for (const options of [{ params: { max_tokens: 1 } }, { prompt_logprobs: true, params: { max_tokens: 2 } }]) {
        const error = yield* Effect.flip(sample(base, { prompt: full, ...options }))
        assert.include(error.reason, "exceed the context")
      }
    })
  )
})
