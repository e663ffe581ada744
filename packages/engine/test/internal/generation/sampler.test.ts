import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { LoadedModel, StoredWeights } from "../../../src/internal/model/loaded.ts"
import * as sampler from "../../../src/internal/generation/sampler.ts"
import * as mergedWeights from "../../../src/internal/lora/mergedWeights.ts"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as fixtures from "../../utils/fixtures.ts"

const qwen = fixtures.read<fixtures.Tiny>("tiny-qwen3.json")
const loadQwen = fixtures.load(fixtures.path("tiny-qwen3"))
const loadOn = (executor: "wasm" | "native") => fixtures.load(fixtures.path("tiny-qwen3"), undefined, executor)

const params: Sampling.SamplingParams = { max_tokens: 20, temperature: 1, top_k: -1, top_p: 1, seed: 1 }

type Options = Omit<Partial<Engine.SampleOptions>, "sampling_params" | "prompt"> & {
  readonly prompt?: ReadonlyArray<number>
  readonly params?: Partial<Sampling.SamplingParams>
}

const full = (options: Options = {}): Engine.SampleOptions => ({
  num_samples: 1,
  prompt_logprobs: false,
  topk_prompt_logprobs: 0,
  ...options,
  prompt: ModelInput.fromTokens(options.prompt ?? [10, 11, 12, 13]),
  sampling_params: { ...params, ...options.params }
})

const sample = (base: LoadedModel, options: Options = {}) => sampler.sample(base, base.stored, full(options))

const tokensOf = (response: Sampling.SampleResponse) => response.sequences.map(({ tokens }) => Array.from(tokens))

/** The logprobs that training gives to all tokens of a sequence but the first. */
const scored = (model: Engine.EngineModel, tokens: ReadonlyArray<number>) =>
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

/** All logprobs of all positions behind each prompt token. */
const distributions = (base: LoadedModel, weights: StoredWeights) => {
  const width = base.config.vocab_size
  // the last token is not scored, so one more follows
  const prompt = [...qwen.tokens, 0]
  return Effect.map(
    sampler.sample(base, weights, full({ prompt, topk_prompt_logprobs: width, params: { max_tokens: 1 } })),
    ({ topk_prompt_logprobs }) => {
      const out = new Float32Array((prompt.length - 1) * width)
      topk_prompt_logprobs!.slice(1).forEach((row, i) => {
        for (const [token, logprob] of row!) out[i * width + token] = logprob
      })
      return out
    }
  )
}

describe("sampling against the reference", () => {
  it.scoped("has its logits, of the bare model and with an adapter", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen
      const width = base.config.vocab_size
      fixtures.near(yield* distributions(base, base.stored), logSoftmax(fixtures.floats(qwen.logits), width))
      const adapter = fixtures.adapterOf(fixtures.peft(qwen.lora), qwen.rank)
      const merged = mergedWeights.make(base, 1)
      const withLora = yield* merged.use(adapter, (weights) => distributions(base, weights))
      fixtures.near(withLora, logSoftmax(fixtures.floats(qwen.logits_lora), width))
    })
  )
})

describe("sampled sequences", () => {
  it.scoped.each(fixtures.executorsHere)(
    "have the logprobs of training's forward pass, however long and whatever the filters, on %s",
    (executor) =>
      Effect.gen(function* () {
        const base = yield* loadOn(executor)
        const adapter = fixtures.adapterOf(fixtures.peft(qwen.lora), qwen.rank)
        const model = yield* trainer.make(base, adapter.lora_config)
        yield* model.load(adapter, undefined)
        const merged = mergedWeights.make(base, 1)
        // long enough for the cache to grow twice, and texts that end at different places
        const options = full({ num_samples: 5, params: { max_tokens: 200, temperature: 1.5, top_p: 0.99 } })
        const response = yield* merged.use(adapter, (weights) => sampler.sample(base, weights, options))
        const lengths = response.sequences.map(({ tokens }) => tokens.length)
        assert.isAbove(Math.max(...lengths), 130)
        assert.isAbove(new Set(lengths).size, 1)
        for (const { logprobs, tokens } of response.sequences) {
          const expected = (yield* scored(model, [10, 11, 12, 13, ...tokens])).slice(3)
          fixtures.near(logprobs!, expected, "logprobs", 1e-5)
        }
      })
  )

  it.scoped("depend on their own seed alone", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen
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
      assert.deepStrictEqual(tokensOf(c!), tokensOf(a!).slice(1, 4))
      assert.strictEqual(new Set(tokensOf(a!).map(String)).size, 70)
      assert.strictEqual(d!.sequences[0]!.tokens.length, 20)
      assert.deepStrictEqual(yield* sample(base, { num_samples: 2, params: { stop: [] } }), b)
    })
  )

  it.scoped.each(fixtures.executorsHere)("do not depend on what was sampled before, on %s", (executor) =>
    Effect.gen(function* () {
      const options = { num_samples: 3, params: { max_tokens: 80 } }
      const fresh = yield* sample(yield* loadOn(executor), options)
      const base = yield* loadOn(executor)
      yield* sample(base, {
        num_samples: 4,
        prompt: Array.from({ length: 50 }, (_, i) => i),
        params: { max_tokens: 60 }
      })
      // a model that has diverged
      const broken = { ...base.stored }
      for (const [name, { spec }] of Object.entries(base.stored)) {
        if (!name.endsWith("v_proj.weight")) continue
        broken[name] = yield* base.executor.store(
          new Float32Array(spec.shape[0]! * spec.shape[1]!).fill(NaN),
          spec.shape
        )
      }
      yield* sampler.sample(base, broken, full(options))
      assert.deepStrictEqual(yield* sample(base, options), fresh)
    })
  )

  it.scoped("are the likeliest at temperature 0, and under a top_k of 1 or a tiny top_p", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen
      const model = yield* trainer.make(base, { rank: 1, seed: 0, ...fixtures.switches })
      const [greedy, first, nucleus] = yield* Effect.forEach(
        [{ temperature: 0 }, { top_k: 1 }, { top_p: 1e-6 }],
        (params) => sample(base, { params: { ...params, max_tokens: 8, stop: [] } })
      )
      assert.deepStrictEqual(tokensOf(first!), tokensOf(greedy!))
      assert.deepStrictEqual(tokensOf(nucleus!), tokensOf(greedy!))
      const [tokens] = tokensOf(greedy!)
      fixtures.near(greedy!.sequences[0]!.logprobs!, (yield* scored(model, [10, 11, 12, 13, ...tokens!])).slice(3))
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

  it.scoped("end at the model's end of text, unless stop is empty", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen
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

  it.scoped("end behind a token or a text that stop has", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen
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

  it.scoped("go on to the end of the context when max_tokens is not given", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen
      const short = { ...base, config: { ...base.config, max_context_length: 24 } }
      const { sequences } = yield* sample(short, { params: { max_tokens: undefined, stop: [] } })
      assert.strictEqual(sequences[0]!.tokens.length, 20)
    })
  )
})

describe("a prompt", () => {
  it.scoped("is scored as in training, its first token not at all", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen
      const model = yield* trainer.make(base, { rank: 1, seed: 0, ...fixtures.switches })
      const prompt = Array.from({ length: 37 }, (_, i) => (i * 29) % 259)
      const response = yield* sample(base, { prompt, prompt_logprobs: true, topk_prompt_logprobs: 3 })
      assert.strictEqual(response.prompt_logprobs!.length, 37)
      assert.isNaN(response.prompt_logprobs![0])
      fixtures.near(response.prompt_logprobs!.slice(1), yield* scored(model, prompt), "logprobs", 1e-5)
      assert.strictEqual(response.topk_prompt_logprobs!.length, 37)
      assert.isNull(response.topk_prompt_logprobs![0])
      for (const row of response.topk_prompt_logprobs!.slice(1)) {
        assert.strictEqual(row!.length, 3)
        assert.isTrue(row![0]![1] >= row![1]![1] && row![1]![1] >= row![2]![1])
      }
      // what else is asked for does not change what is sampled
      assert.deepStrictEqual(tokensOf(response), tokensOf(yield* sample(base, { prompt })))
    })
  )

  it.scoped("of one token can be continued", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen
      const response = yield* sample(base, { prompt: [7], prompt_logprobs: true, topk_prompt_logprobs: 1 })
      assert.strictEqual(response.prompt_logprobs!.length, 1)
      assert.deepStrictEqual(response.topk_prompt_logprobs, [null])
    })
  )

  it.scoped("is refused with the reason when it cannot be continued", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen
      const refused = (options: Options) => fixtures.refusal(sample(base, options))
      const long = Array.from({ length: 2048 }, () => 5)
      assert.include(yield* refused({ prompt: [] }), "the prompt is empty")
      assert.include(yield* refused({ prompt: [1, 259] }), "token 1 is 259, but the vocabulary of test has 259 tokens")
      assert.include(yield* refused({ prompt: [...long, 5] }), "has 2049 tokens, but the context of test has 2048")
      assert.include(yield* refused({ prompt: long }), "shorten the prompt or lower max_tokens")
      assert.include(yield* refused({ prompt: long, params: { max_tokens: undefined } }), "1 more exceed the context")
      assert.include(yield* refused({ params: { max_tokens: 2045 } }), "2045 more exceed the context")
      assert.include(yield* refused({ params: { stop: ["a", ""] } }), "empty string")
      const image = ModelInput.image({ data: new Uint8Array(1), format: "png", expected_tokens: 1 })
      assert.include(
        yield* fixtures.refusal(sampler.sample(base, base.stored, { ...full(), prompt: ModelInput.make(image) })),
        "not text"
      )
      const mute = { ...base, directory: { ...base.directory, decode: undefined } }
      assert.include(yield* fixtures.refusal(sample(mute, { params: { stop: "a" } })), "has no tokenizer.json")
    })
  )
})

describe("snapshots", () => {
  it.scoped("stay as they were while the model is trained, and do not touch it", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen
      const merged = mergedWeights.make(base, 1)
      const model = yield* trainer.make(base, { rank: 4, seed: 0, ...fixtures.switches })
      const data = qwen.data["supervised"]!.map(fixtures.datum)
      const step = Effect.zipRight(
        model.forwardBackward({ data, loss_fn: "cross_entropy", loss_fn_config: {} }),
        model.optimStep(fixtures.adamParams)
      )
      yield* step
      const before = yield* model.adapter
      const draw = (adapter: Engine.Adapter) => merged.use(adapter, (weights) => sampler.sample(base, weights, full()))
      const first = yield* draw(before)
      yield* step
      const after = yield* model.adapter
      const second = yield* draw(after)
      assert.notDeepEqual(first, second)
      assert.deepStrictEqual(yield* draw(before), first)
      assert.deepStrictEqual(yield* model.adapter, after)
    })
  )

  it.scoped("can be used by many at once, more than are kept", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen
      const merged = mergedWeights.make(base, 1)
      const adapters = yield* Effect.forEach([1, 2, 3, 4, 5], (scale) =>
        Effect.succeed(
          fixtures.adapterOf(
            Object.fromEntries(
              Object.entries(fixtures.peft(qwen.lora)).map(([name, data]) => [name, data.map((v) => v * scale)])
            ),
            qwen.rank
          )
        )
      )
      const draw = (adapter: Engine.Adapter) => merged.use(adapter, (weights) => sampler.sample(base, weights, full()))
      const alone = yield* Effect.forEach(adapters, draw)
      const together = yield* Effect.forEach([...adapters, ...adapters], draw, { concurrency: "unbounded" })
      assert.deepStrictEqual(together, [...alone, ...alone])
      yield* Effect.forEach(adapters, merged.evict, { discard: true })
    })
  )

  it.scoped("of adapters that do not fit are refused", () =>
    Effect.gen(function* () {
      const base = yield* loadQwen
      const merged = mergedWeights.make(base, 1)
      const adapter = fixtures.adapterOf(fixtures.peft(qwen.lora), qwen.rank)
      const check = (changed: Engine.Adapter) => fixtures.refusal(merged.check(changed))
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
