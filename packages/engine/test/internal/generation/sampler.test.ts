import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { LoadedModel } from "../../../src/internal/model/loaded.ts"
import * as sampler from "../../../src/internal/generation/sampler.ts"
import * as rowAdapter from "../../../src/internal/lora/rowAdapter.ts"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { sampleRequest, type SampleOptions, trainAll } from "../../utils/requests.ts"

const sample = (base: LoadedModel, options: SampleOptions = {}) =>
  sampler.sample(base, rowAdapter.none, sampleRequest(options))

const tokensOf = (response: Sampling.SampleResponse) => response.sequences.map(({ tokens }) => Array.from(tokens))

/** The logprobs of the forward program of training, for all tokens of a sequence but the first. */
const scoreTokens = (model: Engine.EngineModel, tokens: ReadonlyArray<number>) =>
  Effect.map(
    model.forward({
      data: [Datum.make({ model_input: tokens.slice(0, -1), loss_fn_inputs: { target_tokens: tokens.slice(1) } })],
      loss_fn: "cross_entropy",
      loss_fn_config: {}
    }),
    ({ loss_fn_outputs }) => loss_fn_outputs[0]!["logprobs"]!.data as Float32Array
  )

const logSoftmax = (logits: Float32Array, width: number) =>
  logits.map((value, i) => {
    const row = logits.subarray(i - (i % width), i - (i % width) + width)
    return value - Math.log(row.reduce((sum, other) => sum + Math.exp(other), 0))
  })

/** The logprobs of all tokens after each token of the prompt. */
const distributions = (base: LoadedModel, adapter: rowAdapter.RowAdapter) => {
  const width = base.config.vocab_size
  // nothing is predicted after the last token, so one is added
  const prompt = [...fixtures.qwen.tokens, 0]
  return Effect.map(
    sampler.sample(base, adapter, sampleRequest({ prompt, topk_prompt_logprobs: width, params: { max_tokens: 1 } })),
    ({ topk_prompt_logprobs }) => {
      const out = new Float32Array((prompt.length - 1) * width)
      topk_prompt_logprobs!.slice(1).forEach((row, i) => {
        for (const [token, logprob] of row!) out[i * width + token] = logprob
      })
      return out
    }
  )
}

describe("The sampler", () => {
  it.scoped("gives the logits of the reference, with and without an adapter", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const width = base.config.vocab_size
      fixtures.assertNear(
        yield* distributions(base, rowAdapter.none),
        logSoftmax(fixtures.decodeTensor(fixtures.qwen.logits), width)
      )
      const adapter = fixtures.makeAdapter(fixtures.peftArrays(fixtures.qwen.lora), fixtures.qwen.rank)
      const withLora = yield* Effect.flatMap(rowAdapter.make(base, adapter), (own) => distributions(base, own))
      fixtures.assertNear(withLora, logSoftmax(fixtures.decodeTensor(fixtures.qwen.logits_lora), width))
    })
  )
})

describe("A sampled sequence", () => {
  it.scoped.each(fixtures.availableExecutors)(
    "has the logprobs of the forward program of training, at any length and with top_p, on %s",
    (executor) =>
      Effect.gen(function* () {
        const base = yield* fixtures.loadQwen(undefined, executor)
        const adapter = fixtures.makeAdapter(fixtures.peftArrays(fixtures.qwen.lora), fixtures.qwen.rank)
        const model = yield* trainer.make(base, adapter.lora_config)
        yield* model.load(adapter, undefined)
        // long enough for the KV cache to grow twice, with sequences of different lengths
        const options = sampleRequest({ num_samples: 5, params: { max_tokens: 200, temperature: 1.5, top_p: 0.99 } })
        const response = yield* Effect.flatMap(rowAdapter.make(base, adapter), (own) =>
          sampler.sample(base, own, options)
        )
        const lengths = response.sequences.map(({ tokens }) => tokens.length)
        assert.isAbove(Math.max(...lengths), 130)
        assert.isAbove(new Set(lengths).size, 1)
        for (const { logprobs, tokens } of response.sequences) {
          const expected = (yield* scoreTokens(model, [10, 11, 12, 13, ...tokens])).slice(3)
          fixtures.assertNear(logprobs!, expected, "logprobs", 1e-5)
        }
      })
  )

  it.scoped("depends only on its seed", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const [a, b, c, d] = yield* Effect.forEach(
        [
          { num_samples: 70 },
          { num_samples: 2 },
          { num_samples: 3, params: { seed: 2 } },
          { num_samples: 1, params: { seed: undefined } }
        ],
        (options) => sample(base, { ...options, params: { stop: [], ...options.params } })
      )
      assert.deepStrictEqual(tokensOf(b!), tokensOf(a!).slice(0, 2))
      for (const tokens of tokensOf(c!)) assert.notDeepInclude(tokensOf(a!), tokens)
      assert.strictEqual(new Set(tokensOf(a!).map(String)).size, 70)
      assert.strictEqual(d!.sequences[0]!.tokens.length, 20)
      assert.deepStrictEqual(yield* sample(base, { num_samples: 2, params: { stop: [] } }), b)
    })
  )

  it.scoped("shares no sequence between neighbouring seeds", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const seeds = [-1, 0, 1, 100, 101, 102, 2 ** 32, 2 ** 32 + 1]
      const sampled = yield* Effect.forEach(seeds, (seed) =>
        sample(base, { num_samples: 16, params: { seed, stop: [] } })
      )
      assert.strictEqual(new Set(sampled.flatMap(tokensOf).map(String)).size, 16 * seeds.length)
    })
  )

  it.scoped.each(fixtures.availableExecutors)("does not depend on earlier requests, on %s", (executor) =>
    Effect.gen(function* () {
      const options = { num_samples: 3, params: { max_tokens: 80 } }
      const fresh = yield* sample(yield* fixtures.loadQwen(undefined, executor), options)
      const base = yield* fixtures.loadQwen(undefined, executor)
      yield* sample(base, {
        num_samples: 4,
        prompt: Array.from({ length: 50 }, (_, i) => i),
        params: { max_tokens: 60 }
      })
      // a model that has diverged and fills the KV cache with NaN
      const arrays = Object.entries(fixtures.peftArrays(fixtures.qwen.lora))
      const values = Object.fromEntries(arrays.map(([name, data]) => [name, data.map(() => NaN)] as const))
      const broken = yield* rowAdapter.make(base, fixtures.makeAdapter(values, fixtures.qwen.rank))
      yield* sampler.sample(base, broken, sampleRequest(options))
      assert.deepStrictEqual(yield* sample(base, options), fresh)
    })
  )

  it.scoped("is the most likely one at temperature 0, with top_k 1 and with a tiny top_p", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const model = yield* trainer.make(base, { rank: 1, seed: 0, ...trainAll })
      const [greedy, first, nucleus] = yield* Effect.forEach(
        [{ temperature: 0 }, { top_k: 1 }, { top_p: 1e-6 }],
        (params) => sample(base, { params: { ...params, max_tokens: 8, stop: [] } })
      )
      assert.deepStrictEqual(tokensOf(first!), tokensOf(greedy!))
      assert.deepStrictEqual(tokensOf(nucleus!), tokensOf(greedy!))
      const [tokens] = tokensOf(greedy!)
      fixtures.assertNear(
        greedy!.sequences[0]!.logprobs!,
        (yield* scoreTokens(model, [10, 11, 12, 13, ...tokens!])).slice(3)
      )
      const { topk_prompt_logprobs } = yield* sample(base, {
        prompt: [10, 11, 12, 13, ...tokens!],
        topk_prompt_logprobs: 1,
        params: { max_tokens: 1 }
      })
      assert.deepStrictEqual(
        topk_prompt_logprobs!.slice(4).map((row) => row![0]![0]),
        tokens
      )
    })
  )

  it.scoped("ends at an end-of-text token of the model, unless stop is empty", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const options = { num_samples: 16, params: { max_tokens: 200 } }
      const ended = yield* sample(base, options)
      assert.isTrue(ended.sequences.some(({ stop_reason }) => stop_reason === "stop"))
      for (const { stop_reason, tokens } of ended.sequences) {
        assert.strictEqual(tokens.indexOf(2), stop_reason === "stop" ? tokens.length - 1 : -1)
        if (stop_reason === "length") assert.strictEqual(tokens.length, 200)
      }
      const endless = yield* sample(base, { ...options, params: { ...options.params, stop: [] } })
      assert.isTrue(endless.sequences.every(({ tokens }) => tokens.length === 200))
      tokensOf(ended).forEach((tokens, i) => {
        assert.deepStrictEqual(tokensOf(endless)[i]!.slice(0, tokens.length), tokens)
      })
    })
  )

  it.scoped("ends with a token or a string of stop", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const [whole] = tokensOf(yield* sample(base, { params: { stop: [] } }))
      const check = (stop: Sampling.SamplingParams["stop"], expected: ReadonlyArray<number>) =>
        Effect.map(sample(base, { params: { stop } }), ({ sequences }) => {
          assert.deepStrictEqual(Array.from(sequences[0]!.tokens), expected)
          assert.strictEqual(sequences[0]!.logprobs!.length, expected.length)
          assert.strictEqual(sequences[0]!.stop_reason, "stop")
        })
      const token = whole![5]!
      yield* check([token], whole!.slice(0, whole!.indexOf(token) + 1))
      const decode = base.directory.decode!
      const text = decode(whole!.slice(6, 9))
      const end = whole!.findIndex((_, i) => decode(whole!.slice(0, i + 1)).includes(text))
      yield* check(text, whole!.slice(0, end + 1))
      yield* check(["never to be found", text], whole!.slice(0, end + 1))
    })
  )

  it.scoped("continues to the end of the context without max_tokens", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const short = { ...base, config: { ...base.config, max_context_length: 24 } }
      const { sequences } = yield* sample(short, { params: { max_tokens: undefined, stop: [] } })
      assert.strictEqual(sequences[0]!.tokens.length, 20)
    })
  )
})

describe("A prompt", () => {
  it.scoped("has the logprobs of the forward program of training, and none for its first token", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const model = yield* trainer.make(base, { rank: 1, seed: 0, ...trainAll })
      const prompt = Array.from({ length: 37 }, (_, i) => (i * 29) % 259)
      const response = yield* sample(base, { prompt, prompt_logprobs: true, topk_prompt_logprobs: 3 })
      assert.strictEqual(response.prompt_logprobs!.length, 37)
      assert.isNaN(response.prompt_logprobs![0])
      fixtures.assertNear(response.prompt_logprobs!.slice(1), yield* scoreTokens(model, prompt), "logprobs", 1e-5)
      assert.strictEqual(response.topk_prompt_logprobs!.length, 37)
      assert.isNull(response.topk_prompt_logprobs![0])
      for (const row of response.topk_prompt_logprobs!.slice(1)) {
        assert.strictEqual(row!.length, 3)
        assert.isTrue(row![0]![1] >= row![1]![1] && row![1]![1] >= row![2]![1])
      }
      // prompt logprobs do not change what is sampled
      assert.deepStrictEqual(tokensOf(response), tokensOf(yield* sample(base, { prompt })))
    })
  )

  it.scoped("may have a single token", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const response = yield* sample(base, { prompt: [7], prompt_logprobs: true, topk_prompt_logprobs: 1 })
      assert.strictEqual(response.prompt_logprobs!.length, 1)
      assert.deepStrictEqual(response.topk_prompt_logprobs, [null])
    })
  )

  it.scoped("is rejected with the reason if it cannot be read or continued", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const reasonFor = (options: SampleOptions) => fixtures.userErrorReason(sample(base, options))
      const long = Array.from({ length: 2048 }, () => 5)
      assert.include(yield* reasonFor({ prompt: [] }), "the prompt is empty")
      assert.include(
        yield* reasonFor({ prompt: [1, 259] }),
        "token 1 is 259, but the vocabulary of test has 259 tokens"
      )
      assert.include(yield* reasonFor({ prompt: [...long, 5] }), "has 2049 tokens, but the context of test has 2048")
      assert.include(yield* reasonFor({ prompt: long }), "shorten the prompt or lower max_tokens")
      assert.include(yield* reasonFor({ prompt: long, params: { max_tokens: undefined } }), "1 more exceed the context")
      assert.include(yield* reasonFor({ params: { max_tokens: 2045 } }), "2045 more exceed the context")
      assert.include(yield* reasonFor({ params: { stop: ["a", ""] } }), "empty string")
      const image = ModelInput.image({ data: new Uint8Array(1), format: "png", expected_tokens: 1 })
      assert.include(
        yield* fixtures.userErrorReason(
          sampler.sample(base, rowAdapter.none, { ...sampleRequest(), prompt: ModelInput.make(image) })
        ),
        "not text"
      )
      const withoutTokenizer = { ...base, directory: { ...base.directory, decode: undefined } }
      assert.include(
        yield* fixtures.userErrorReason(sample(withoutTokenizer, { params: { stop: "a" } })),
        "has no tokenizer.json"
      )
    })
  )
})
