import { NodeContext } from "@effect/platform-node"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as rowAdapter from "../../../src/internal/lora/rowAdapter.ts"
import * as sampler from "../../../src/internal/generation/sampler.ts"
import * as JaxEngine from "../../../src/JaxEngine.ts"
import * as ModelDirectory from "../../../src/ModelDirectory.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { sampleRequest } from "../../utils/requests.ts"

const file = fixtures.path("gguf/tiny-llama.gguf")
const directory = fixtures.path("tiny-llama")

/** The reason why a changed copy of the file is rejected. */
const reasonFor = (change: (bytes: Uint8Array) => Uint8Array) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = `${yield* fs.makeTempDirectoryScoped()}/changed.gguf`
    yield* fs.writeFile(path, change(yield* fs.readFile(file)))
    const error = yield* Effect.flip(ModelDirectory.open(path))
    assert.strictEqual(error.path, path)
    return error.reason
  })

/** Replaces a text of the file by another of the same length. */
const replacing =
  (...replacements: ReadonlyArray<readonly [text: string, other: string]>) =>
  (bytes: Uint8Array): Uint8Array => {
    let latin = Buffer.from(bytes).toString("latin1")
    for (const [text, other] of replacements) latin = latin.replaceAll(text, other)
    return new Uint8Array(Buffer.from(latin, "latin1"))
  }

describe("A GGUF file", () => {
  it.scoped("has the configuration, the weights and the samples of the directory that it was made from", () =>
    Effect.gen(function* () {
      const [fromFile, fromDirectory] = yield* Effect.all([ModelDirectory.open(file), ModelDirectory.open(directory)])
      assert.deepStrictEqual(fromFile.config, fromDirectory.config)
      assert.deepStrictEqual(fromFile.eos_token_ids, fromDirectory.eos_token_ids)
      const weights = yield* ModelDirectory.weights(fromFile)
      assert.deepStrictEqual(weights, yield* ModelDirectory.weights(fromDirectory))
      const [a, b] = yield* Effect.forEach([file, directory], (path) =>
        Effect.flatMap(fixtures.load(path), (base) => sampler.sample(base, rowAdapter.none, sampleRequest()))
      )
      assert.deepStrictEqual(a, b)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("has the tokenizer and the chat template of the directory", () =>
    Effect.gen(function* () {
      const [own, expected] = yield* Effect.forEach([file, directory], (path) => Tokenizer.fromDirectory(path))
      for (const text of ["Hello, world! 123", "naïve  café\n", "<|im_start|>user"]) {
        assert.deepStrictEqual(own!.encode(text), expected!.encode(text))
        assert.strictEqual(own!.decode(own!.encode(text)), expected!.decode(expected!.encode(text)))
      }
      assert.deepStrictEqual(own!.chatTemplates, expected!.chatTemplates)
      assert.strictEqual(own!.eos?.id, 2)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("is rejected with every reason at once", () =>
    Effect.gen(function* () {
      const other = yield* reasonFor(replacing(["gpt-2", "other"], ["blk.1.attn_k.weight", "blk.1.attn_z.weight"]))
      assert.include(other, "has tensors that would not be used: blk.1.attn_z.weight")
      assert.include(other, "has no tensor blk.1.attn_k.weight")
      assert.include(other, "tokenizer.ggml.pre is other: supported are default, gpt-2, smollm")
      const short = yield* reasonFor((bytes) => bytes.subarray(0, bytes.length - 3000))
      assert.include(short, "ends before the tensor")
      assert.include(yield* reasonFor((bytes) => bytes.subarray(0, 1000)), "is not a GGUF file that can be read")
      assert.include(yield* reasonFor(() => new Uint8Array(100)), "is not a GGUF file that can be read")
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

interface Family {
  readonly prompt: ReadonlyArray<number>
  readonly prompt_logprobs: fixtures.Tensor
  readonly variants: Record<string, { readonly prompt_logprobs: fixtures.Tensor }>
}

const promptLogprobs = (path: string, prompt: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const base = yield* fixtures.load(path)
    const scores = yield* sampler.sample(base, rowAdapter.none, sampleRequest({ prompt, prompt_logprobs: true }))
    return scores.prompt_logprobs!.slice(1) as Float32Array
  })

describe("A GGUF file of another architecture", () => {
  for (const [name, variant] of [["qwen2"], ["smollm3", "gguf"], ["phi3", "longrope"], ["gemma3", "gguf"]] as const) {
    it.scoped(`gives the logprobs of transformers: ${name}`, () =>
      Effect.gen(function* () {
        const fixture = fixtures.read<Family>(`families/${name}.json`)
        const { prompt_logprobs } = variant === undefined ? fixture : fixture.variants[variant]!
        const own = yield* promptLogprobs(fixtures.path(`gguf/${name}.gguf`), fixture.prompt)
        fixtures.assertNear(own, fixtures.decodeTensor(prompt_logprobs))
      })
    )
  }

  it.scoped("has its own factors of the rotary embedding, as Llama 3 has", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const config = fixtures.read<object>("families/mistral/config.json")
      const kind = { model_type: "llama", architectures: ["LlamaForCausalLM"], sliding_window: null }
      const bounds = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 512 }
      const rope_scaling = { rope_type: "llama3", factor: 8, ...bounds }
      yield* fs.writeFileString(`${directory}/config.json`, JSON.stringify({ ...config, ...kind, rope_scaling }))
      yield* fs.copyFile(fixtures.path("families/mistral/model.safetensors"), `${directory}/model.safetensors`)
      const { prompt } = fixtures.read<Family>("families/mistral.json")
      const expected = yield* promptLogprobs(directory, prompt)
      fixtures.assertNear(yield* promptLogprobs(fixtures.path("gguf/mistral.gguf"), prompt), expected, "", 1e-5)
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

describe("A model that cannot be run", () => {
  it.scoped("does not take the others along, but fails alone with its reasons", () =>
    Effect.gen(function* () {
      const bad = { name: "test/bad", directory: fixtures.path("nothing.gguf") }
      const good = { name: "test/good", directory: file }
      const { models } = yield* JaxEngine.make({ executor: "wasm", models: [bad, good] })
      assert.deepStrictEqual(models.map(({ model_name }) => model_name), [JaxEngine.nano, "test/good"]) // prettier-ignore
      const error = yield* Effect.flip(JaxEngine.make({ executor: "wasm", models: [bad] }))
      assert.include(error.message, "nothing.gguf: cannot be read")
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
