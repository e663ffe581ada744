import * as SafeTensors from "@effect-tinker/server/SafeTensors"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as rowAdapter from "../src/internal/lora/rowAdapter.ts"
import * as sampler from "../src/internal/generation/sampler.ts"
import * as ModelDirectory from "../src/ModelDirectory.ts"
import * as fixtures from "./utils/fixtures.ts"
import { sampleRequest } from "./utils/requests.ts"

const config = fixtures.read<Record<string, unknown>>("tiny-qwen3/config.json")

/** Copies the directory of a fixture, and replaces files; `undefined` removes one. */
const copyWith = (name: string, changes: Record<string, string | Uint8Array | undefined>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const directory = yield* fs.makeTempDirectoryScoped()
    for (const file of yield* fs.readDirectory(fixtures.path(name))) {
      if (!(file in changes)) yield* fs.copyFile(join(fixtures.path(name), file), join(directory, file))
    }
    for (const [file, content] of Object.entries(changes)) {
      if (typeof content === "string") yield* fs.writeFileString(join(directory, file), content)
      else if (content !== undefined) yield* fs.writeFile(join(directory, file), content)
    }
    return directory
  })

/** The reason why a changed copy of a fixture is rejected. */
const reasonFor = (name: string, changes: Record<string, string | Uint8Array | undefined>) =>
  Effect.gen(function* () {
    const directory = yield* copyWith(name, changes)
    const error = yield* Effect.flip(Effect.flatMap(ModelDirectory.open(directory), ModelDirectory.weights))
    assert.instanceOf(error, ModelDirectory.ModelDirectoryError)
    assert.isTrue(error.path.startsWith(directory))
    return error.reason
  })

/** Changes that make the configuration that of another family. */
const family = (model_type: string, architecture: string) => (change: object) => ({
  model_type,
  architectures: [architecture],
  ...change
})
const llama = family("llama", "LlamaForCausalLM")
const smollm3 = family("smollm3", "SmolLM3ForCausalLM")
const gemma = (change: object) =>
  family("gemma3_text", "Gemma3ForCausalLM")({ sliding_window: 64, rope_parameters: undefined, ...change })
const phi = (scaling: object) =>
  family("phi3", "Phi3ForCausalLM")({ rope_scaling: { type: "su", ...scaling }, sliding_window: null })

describe("parseConfig", () => {
  it("rejects models that the engine cannot run faithfully, with the reason", () => {
    const cases: ReadonlyArray<readonly [unknown, string]> = [
      [null, "is not an object"],
      [[], "is not an object"],
      [{}, "the architecture is null of model_type null: supported are LlamaForCausalLM, MistralForCausalLM"],
      [{ model_type: "gpt2", architectures: ["GPT2LMHeadModel"] }, `the architecture is ["GPT2LMHeadModel"]`],
      [{ architectures: ["Qwen3MoeForCausalLM"] }, `the architecture is ["Qwen3MoeForCausalLM"]`],
      [{ hidden_act: "gelu" }, `the activation is "gelu": only silu is supported`],
      [{ attention_bias: true }, "attention_bias is true: biases are supported in Qwen2 alone"],
      [{ mlp_bias: true }, "mlp_bias is true"],
      [
        llama({ sliding_window: 128, use_sliding_window: undefined }),
        "sliding_window is 128: Llama has full attention"
      ],
      [{ layer_types: ["full_attention", "chunked_attention"] }, `layer_types has "chunked_attention"`],
      [{ layer_types: ["full_attention"] }, "layer_types must have 2 entries"],
      [{ layer_types: ["full_attention", "sliding_attention"] }, "sliding_window is undefined: it must be"],
      [{ num_hidden_layers: 1e6 }, "num_hidden_layers is 1000000: at most 1024 are supported"],
      [{ rope_parameters: { rope_type: "yarn", factor: -4 } }, "factor is -4: it must be a positive number"],
      [{ rope_scaling: { type: "ntk", factor: 2 } }, `the rope scaling is "ntk"`],
      [phi({ short_factor: [1, 2] }), "short_factor must be a list of 8 positive numbers"],
      [smollm3({ no_rope_layers: [1, 2] }), "no_rope_layers must have 1 or 0 for each of the 2 layers"],
      [gemma({ final_logit_softcapping: 30 }), "final_logit_softcapping is 30: it is not supported"],
      [gemma({ use_bidirectional_attention: true }), "only causal attention is supported"],
      [gemma({ hidden_activation: "gelu" }), `the activation is "gelu": only gelu_pytorch_tanh is supported`],
      [{ rope_scaling: { type: "linear" } }, "factor is undefined"],
      [{ rope_scaling: { rope_type: "llama3", low_freq_factor: 4, high_freq_factor: 1 } }, "high_freq_factor"],
      [{ partial_rotary_factor: 0.5 }, "partial_rotary_factor is 0.5"],
      [{ quantization_config: { quant_method: "gptq" } }, "the weights are quantized"],
      [{ hidden_size: undefined }, "hidden_size is undefined: it must be a positive integer"],
      [{ hidden_size: -64 }, "hidden_size is -64"],
      [{ num_hidden_layers: 1.5 }, "num_hidden_layers is 1.5"],
      [{ vocab_size: "259" }, `vocab_size is "259"`],
      [{ num_key_value_heads: 3 }, "it must be a multiple of num_key_value_heads, 3"],
      [{ head_dim: 15 }, "head_dim is 15: it must be even"],
      [{ rms_norm_eps: 0 }, "rms_norm_eps is 0: it must be a positive number"]
    ]
    for (const [change, reason] of cases) {
      const isChange = typeof change === "object" && change !== null && !Array.isArray(change)
      const given = isChange && Object.keys(change).length > 0 ? { ...config, ...change } : change
      const parsed = ModelDirectory.parseConfig(given)
      assert.isTrue(Either.isLeft(parsed), reason)
      if (Either.isLeft(parsed)) assert.include(parsed.left, reason)
    }
  })

  it("reads the RoPE parameters of transformers 4 and 5", () => {
    const rope = (change: object) => Either.getOrThrow(ModelDirectory.parseConfig({ ...config, ...change })).rope
    const old = { rope_parameters: undefined, rope_theta: 5e5 }
    const linear = { type: "linear", factor: 2 } as const
    assert.deepStrictEqual(rope({}), { theta: 10_000, scaling: { type: "default" } })
    assert.deepStrictEqual(rope(old), { theta: 5e5, scaling: { type: "default" } })
    assert.deepStrictEqual(rope({ ...old, rope_scaling: linear }), { theta: 5e5, scaling: linear })
    const current = { rope_parameters: { rope_theta: 1e6, rope_type: "linear", factor: 2 } }
    assert.deepStrictEqual(rope(current), { theta: 1e6, scaling: linear })
  })

  it("reads what families take for fields that are left out", () => {
    const parse = (change: object) => Either.getOrThrow(ModelDirectory.parseConfig({ ...config, ...change }))
    const withNull = parse(family("mistral", "MistralForCausalLM")({ sliding_window: null }))
    assert.strictEqual(withNull.sliding_window, undefined)
    const { sliding_window: _, ...withoutWindow } = config
    const change = { ...family("mistral", "MistralForCausalLM")({}), max_position_embeddings: 8192 }
    const old = Either.getOrThrow(ModelDirectory.parseConfig({ ...withoutWindow, ...change }))
    assert.strictEqual(old.sliding_window, 4096)
    assert.isTrue(old.layers.every(({ isSliding }) => isSliding))
  })

  it("has no window where the context is not longer, or where the layers do not have it", () => {
    const parse = (change: object) =>
      Either.getOrThrow(ModelDirectory.parseConfig({ ...config, layer_types: undefined, ...change }))
    assert.strictEqual(parse({ sliding_window: 128, use_sliding_window: true }).sliding_window, undefined)
    const window = { sliding_window: 128, use_sliding_window: true, max_window_layers: 1 }
    assert.deepStrictEqual(parse(window).layers.map(({ isSliding }) => isSliding), [false, true]) // prettier-ignore
    assert.strictEqual(parse({ ...window, sliding_window: 1e6 }).sliding_window, undefined)
  })

  it("accepts a sliding window that is switched off, and computes a missing head_dim", () => {
    const parsed = ModelDirectory.parseConfig({
      ...config,
      sliding_window: 4096,
      use_sliding_window: false,
      head_dim: undefined
    })
    assert.strictEqual(Either.getOrThrow(parsed).head_dim, 16)
  })
})

describe("A model directory", () => {
  it.scoped("is read as float32 from shards of BF16 and F16", () =>
    Effect.gen(function* () {
      const model = yield* ModelDirectory.open(fixtures.path("tiny-llama"))
      const weights = yield* ModelDirectory.weights(model)
      assert.strictEqual(Object.keys(weights).length, 1 + 3 * 9 + 1)
      assert.isTrue(Object.values(weights).every(({ data }) => data instanceof Float32Array))
      assert.deepStrictEqual(model.eos_token_ids, [2])
      // the three special tokens come before the bytes
      assert.strictEqual(model.decode!([1]), "<|im_start|>")
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("gives the logits of the reference with the RoPE scaling of Llama 3", () =>
    Effect.gen(function* () {
      const fixture = fixtures.read<fixtures.Tiny>("tiny-llama.json")
      const original = fixtures.read<object>("tiny-llama/config.json")
      const directory = yield* copyWith("tiny-llama", {
        "config.json": JSON.stringify({ ...original, rope_scaling: fixture.rope_scaling!.config })
      })
      const base = yield* fixtures.load(directory)
      const { topk_prompt_logprobs } = yield* sampler.sample(
        base,
        rowAdapter.none,
        sampleRequest({
          prompt: [...fixture.tokens, 0],
          params: { max_tokens: 1, temperature: 0 },
          topk_prompt_logprobs: 2
        })
      )
      const logits = fixtures.decodeTensor(fixture.rope_scaling!.logits)
      topk_prompt_logprobs!.slice(1).forEach((row, i) => {
        const [[first, a], [second, b]] = row as unknown as [[number, number], [number, number]]
        const at = (token: number) => logits[i * base.config.vocab_size + token]!
        assert.strictEqual(at(first), Math.max(...logits.subarray(i * 259, (i + 1) * 259)))
        assert.approximately(a - b, at(first) - at(second), 1e-4)
      })
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("is rejected with the file and the reason if it is incomplete or invalid", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const bytes = yield* fs.readFile(fixtures.path("tiny-qwen3/model.safetensors"))
      const { tensors } = Either.getOrThrow(SafeTensors.decode(bytes))
      const { "model.norm.weight": norm, ...rest } = tensors
      const qwen = (changes: Record<string, string | Uint8Array | undefined>) => reasonFor("tiny-qwen3", changes)
      const llama = (changes: Record<string, string | Uint8Array | undefined>) => reasonFor("tiny-llama", changes)

      assert.include(yield* qwen({ "config.json": undefined }), "cannot be read")
      assert.include(yield* qwen({ "config.json": "{" }), "is not JSON")
      assert.include(yield* qwen({ "config.json": `{"model_type":"bert"}` }), "the architecture is")
      assert.include(yield* qwen({ "tokenizer.json": "{}" }), "is not a supported tokenizer")
      assert.include(yield* qwen({ "model.safetensors": undefined }), "cannot be read")
      assert.include(yield* qwen({ "model.safetensors": new Uint8Array(4) }), "not a readable safetensors file")
      assert.include(yield* qwen({ "model.safetensors": bytes.subarray(0, bytes.length - 4) }), "lies outside the file")
      assert.include(yield* qwen({ "model.safetensors": SafeTensors.encode(rest) }), "has no weight model.norm.weight")
      const reshaped = { shape: [2, 32], data: norm!.data }
      assert.include(
        yield* qwen({ "model.safetensors": SafeTensors.encode({ ...rest, "model.norm.weight": reshaped }) }),
        "has model.norm.weight in the shape [2, 32], but config.json asks for [64]"
      )
      const bias = { ...tensors, "model.layers.0.self_attn.q_proj.bias": norm! }
      assert.include(yield* qwen({ "model.safetensors": SafeTensors.encode(bias) }), "biases are not supported")
      assert.include(yield* llama({ "model.safetensors.index.json": "{}" }), "has no weight_map")
      for (const file of ["../secret.safetensors", "/etc/passwd", "a/b.safetensors"]) {
        const index = JSON.stringify({ weight_map: { "model.norm.weight": file } })
        assert.include(yield* llama({ "model.safetensors.index.json": index }), "not a safetensors file beside it")
      }
      assert.include(yield* llama({ "model-00002-of-00002.safetensors": undefined }), "cannot be read")
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("may lack a tokenizer and a generation config", () =>
    Effect.gen(function* () {
      const directory = yield* copyWith("tiny-qwen3", {
        "tokenizer.json": undefined,
        "generation_config.json": undefined,
        "config.json": JSON.stringify({ ...config, eos_token_id: [7, 9] })
      })
      const model = yield* ModelDirectory.open(directory)
      assert.isUndefined(model.decode)
      assert.deepStrictEqual(model.eos_token_ids, [7, 9])
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
