import * as SafeTensors from "@effect-tinker/server/SafeTensors"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import { NodeContext } from "@effect/platform-node"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as values from "../src/internal/export/values.ts"
import { dequantize, formats } from "../src/internal/gguf/dequantize.ts"
import * as architecture from "../src/internal/model/architecture.ts"
import { brainBits, halfBits, halfValue } from "../src/internal/util/half.ts"
import type { ModelConfig } from "../src/ModelConfig.ts"
import * as ModelDirectory from "../src/ModelDirectory.ts"
import * as ModelExport from "../src/ModelExport.ts"
import * as fixtures from "./utils/fixtures.ts"

const rank = 2
const alpha = 6

/** Values that differ by the name and the index. */
const valueAt = (name: string, i: number): number => Math.sin(i * 1.7 + name.length) / 8

const matrix = (name: string, shape: readonly [number, number]) => ({
  shape,
  data: Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => valueAt(name, i))
})

type Tensors = { readonly [name: string]: SafeTensors.Tensor }

/** The matrices of an adapter of some linear layers. */
const tensorsOf = (config: ModelConfig, isTrained: (name: string) => boolean): Tensors =>
  Object.fromEntries(
    architecture
      .linears(config)
      .filter(({ name }) => isTrained(name))
      .flatMap((linear) => [
        [`base_model.model.${linear.name}.lora_A.weight`, matrix(`${linear.name}A`, [rank, linear.in])],
        [`base_model.model.${linear.name}.lora_B.weight`, matrix(`${linear.name}B`, [linear.out, rank])]
      ])
  )

const settings = { peft_type: "LORA", r: rank, lora_alpha: alpha, base_model_name_or_path: "base" }

/** Writes an adapter as PEFT keeps it. */
const writeAdapter = (tensors: Tensors, config: object = settings) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped()
    yield* fs.writeFileString(`${directory}/adapter_config.json`, JSON.stringify(config))
    yield* fs.writeFile(`${directory}/adapter_model.safetensors`, SafeTensors.encode(tensors, {}))
    return directory
  })

/** What the merged weight is, one value at a time. */
const mergedValue = (adapter: Tensors, linear: string, columns: number, base: Float32Array, i: number): number => {
  const a = adapter[`base_model.model.${linear}.lora_A.weight`]?.data
  const b = adapter[`base_model.model.${linear}.lora_B.weight`]?.data
  if (a === undefined || b === undefined) return base[i]!
  const [row, column] = [Math.floor(i / columns), i % columns]
  let sum = 0
  for (let r = 0; r < rank; r++) sum += b[row * rank + r]! * a[r * columns + column]!
  return base[i]! + (alpha / rank) * sum
}

/** Asserts that a model is the base with the adapter merged in, to a relative difference. */
const assertMerged = (path: string, base: string, adapter: Tensors, tolerance: number) =>
  Effect.gen(function* () {
    const [own, from] = yield* Effect.all([ModelDirectory.open(path), ModelDirectory.open(base)])
    const [weights, expected] = yield* Effect.all([ModelDirectory.weights(own), ModelDirectory.weights(from)])
    for (const [name, { data, shape }] of Object.entries(weights)) {
      const source = expected[name] ?? expected["model.embed_tokens.weight"]!
      assert.deepStrictEqual(shape, source.shape)
      const linear = name.replace(/\.weight$/, "")
      data.forEach((value, i) => {
        const wanted = mergedValue(adapter, linear, shape[1] ?? 1, source.data, i)
        if (!(Math.abs(value - wanted) <= tolerance * Math.max(0.05, Math.abs(wanted)))) {
          assert.fail(`${name}[${i}] is ${value}, not ${wanted}`)
        }
      })
    }
    return [own, from] as const
  })

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

/** Exports a base with an adapter of all its layers, and asserts that the result is that. */
const exportAndCompare = (base: string, kind: "directory" | "f16" | "q8_0", tolerance: number) =>
  Effect.gen(function* () {
    const { config } = yield* ModelDirectory.open(base)
    const tensors = tensorsOf(config, () => true)
    const adapter = yield* writeAdapter(tensors)
    const out = `${yield* temporary}/deep/model${kind === "directory" ? "" : ".gguf"}`
    yield* kind === "directory"
      ? ModelExport.toDirectory({ base, adapter, out })
      : ModelExport.toGguf({ base, adapter, out, type: kind })
    const [own, from] = yield* assertMerged(out, base, tensors, tolerance)
    const { tie_word_embeddings, ...dimensions } = own.config
    const { tie_word_embeddings: _, ...expected } = from.config
    assert.deepStrictEqual(dimensions, expected)
    assert.isFalse(tie_word_embeddings)
    return { out, own, from }
  })

const halfPrecision = 2 ** -10

describe("ModelExport.toDirectory", () => {
  const families = ["gemma3", "mistral", "phi3", "qwen2", "smollm3"].map((name) => `families/${name}`)
  it.scoped.each([...families, "tiny-llama", "tiny-qwen3"])("merges an adapter into %s, in its own precision", (name) =>
    Effect.gen(function* () {
      const { own } = yield* exportAndCompare(fixtures.path(name), "directory", name === "tiny-qwen3" ? 1e-6 : 2 ** -8)
      if (!name.startsWith("families")) {
        const [a, b] = yield* Effect.forEach([own.path, fixtures.path(name)], Tokenizer.fromDirectory)
        assert.deepStrictEqual(a!.chatTemplates, b!.chatTemplates)
        assert.deepStrictEqual(a!.encode("Hello <|im_end|>"), b!.encode("Hello <|im_end|>"))
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped.each(["tiny-llama", "mistral", "gemma3"])("makes a directory of %s.gguf, with its tokenizer", (name) =>
    Effect.gen(function* () {
      const base = fixtures.path(`gguf/${name}.gguf`)
      const { from, out, own } = yield* exportAndCompare(base, "directory", 2 ** -8)
      assert.deepStrictEqual(own.eos_token_ids, from.eos_token_ids)
      const [a, b] = yield* Effect.forEach([out, base], Tokenizer.fromDirectory)
      assert.deepStrictEqual(a!.encode("Hello, wörld! 12"), b!.encode("Hello, wörld! 12"))
      assert.deepStrictEqual(a!.chatTemplates, b!.chatTemplates)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("keeps a shared unembedding where the adapter leaves it alone", () =>
    Effect.gen(function* () {
      const base = fixtures.path("tiny-llama")
      const { config } = yield* ModelDirectory.open(base)
      const tensors = tensorsOf(config, (name) => name.endsWith("q_proj"))
      const out = `${yield* temporary}/model`
      yield* ModelExport.toDirectory({ base, adapter: yield* writeAdapter(tensors), out })
      const [own] = yield* assertMerged(out, base, tensors, 2 ** -8)
      assert.isTrue(own.config.tie_word_embeddings)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("reads the name that the hosted service has for the unembedding", () =>
    Effect.gen(function* () {
      const base = fixtures.path("tiny-qwen3")
      const { config } = yield* ModelDirectory.open(base)
      const tensors = tensorsOf(config, (name) => name === "lm_head")
      const renamed = Object.fromEntries(
        Object.entries(tensors).map(([name, tensor]) => [name.replace("lm_head", "model.unembed_tokens"), tensor])
      )
      const out = `${yield* temporary}/model`
      yield* ModelExport.toDirectory({ base, adapter: yield* writeAdapter(renamed), out })
      yield* assertMerged(out, base, tensors, 1e-6)
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

describe("ModelExport.toGguf", () => {
  it.scoped.each([
    ["tiny-llama", "f16", halfPrecision],
    ["tiny-qwen3", "f16", halfPrecision],
    ["tiny-llama", "q8_0", 0.3],
    ["gguf/smollm3.gguf", "f16", halfPrecision],
    ["gguf/mistral.gguf", "f16", halfPrecision],
    ["gguf/qwen2.gguf", "f16", halfPrecision],
    ["gguf/gemma3.gguf", "f16", halfPrecision]
  ] as const)("writes %s with an adapter as %s", ([name, type, tolerance]) =>
    Effect.gen(function* () {
      const base = fixtures.path(name)
      const { from, out, own } = yield* exportAndCompare(base, type, tolerance)
      assert.deepStrictEqual(own.eos_token_ids, from.eos_token_ids)
      const [a, b] = yield* Effect.forEach([out, base], Tokenizer.fromDirectory)
      for (const text of ["Hello, wörld! 12", "<|im_start|>user\n"]) {
        assert.deepStrictEqual(a!.encode(text), b!.encode(text))
        assert.strictEqual(a!.decode(a!.encode(text)), b!.decode(b!.encode(text)))
      }
      assert.deepStrictEqual(a!.chatTemplates, b!.chatTemplates)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("refuses what llama.cpp would compute in another way, with every reason", () =>
    Effect.gen(function* () {
      const reasonOf = (base: string) =>
        Effect.gen(function* () {
          const { config } = yield* ModelDirectory.open(base)
          const adapter = yield* writeAdapter(tensorsOf(config, (name) => name.endsWith("o_proj")))
          const out = `${yield* temporary}/model.gguf`
          return (yield* Effect.flip(ModelExport.toGguf({ base, adapter, out }))).reason
        })
      assert.include(yield* reasonOf(fixtures.path("gguf/phi3.gguf")), "LongRoPE")
      // another pattern of windows, and another scale of attention
      const gemma = yield* reasonOf(fixtures.path("families/gemma3"))
      assert.include(gemma, "other windows")
      assert.include(gemma, "scale of attention")
      // no tokenizer
      assert.include(yield* reasonOf(fixtures.path("families/qwen2")), "cannot be read")
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

describe("An export", () => {
  const base = fixtures.path("tiny-qwen3")

  it.scoped("names what does not fit in an adapter", () =>
    Effect.gen(function* () {
      const { config } = yield* ModelDirectory.open(base)
      const tensors = tensorsOf(config, (name) => name.endsWith("0.self_attn.q_proj"))
      const [[nameA, a], [nameB, b]] = Object.entries(tensors) as [
        [string, SafeTensors.Tensor],
        [string, SafeTensors.Tensor]
      ]
      const reasonOf = (tensors: Tensors, config: object = settings) =>
        Effect.gen(function* () {
          const adapter = yield* writeAdapter(tensors, config)
          const directory = yield* temporary
          const error = yield* Effect.flip(ModelExport.toDirectory({ base, adapter, out: `${directory}/out` }))
          assert.isTrue(error.path.startsWith(adapter))
          assert.deepStrictEqual(yield* (yield* FileSystem.FileSystem).readDirectory(directory), [])
          return error.reason
        })
      assert.include(yield* reasonOf({ ...tensors, other: a }), "has other, which the base model has no layer for")
      assert.include(
        yield* reasonOf({ [nameA]: a }),
        "has only one of the two matrices of model.layers.0.self_attn.q_proj"
      )
      assert.include(yield* reasonOf({ [nameA]: b, [nameB]: b }), "in the shape")
      assert.include(yield* reasonOf({}), "has no matrices")
      assert.include(yield* reasonOf({ [nameA]: { ...a, data: a.data.map(() => Infinity) }, [nameB]: b }), "not finite")
      assert.include(yield* reasonOf(tensors, { ...settings, use_dora: true }), "use_dora")
      assert.include(yield* reasonOf(tensors, { ...settings, r: 0 }), "with r and lora_alpha")
      assert.include(yield* reasonOf(tensors, { ...settings, rank_pattern: { q_proj: 4 } }), "rank_pattern")
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("fails where half precision does not hold a merged value", () =>
    Effect.gen(function* () {
      const { config } = yield* ModelDirectory.open(base)
      const adapter = yield* writeAdapter(
        tensorsOf(config, (name) => name === "lm_head"),
        { ...settings, lora_alpha: 1e9 }
      )
      const out = `${yield* temporary}/model.gguf`
      const error = yield* Effect.flip(ModelExport.toGguf({ base, adapter, out }))
      assert.match(error.reason, /lm_head.weight after the merge, which F16 does not hold/)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("replaces nothing unless it is told to, and leaves nothing when it is interrupted", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { config } = yield* ModelDirectory.open(base)
      const adapter = yield* writeAdapter(tensorsOf(config, () => true))
      const directory = yield* temporary
      const out = `${directory}/model.gguf`
      yield* fs.writeFileString(out, "mine")
      const error = yield* Effect.flip(ModelExport.toGguf({ base, adapter, out }))
      assert.include(error.reason, "exists already")
      const began = yield* Deferred.make<void>()
      // stops where the first tensor is to be written
      const slow: FileSystem.FileSystem = {
        ...fs,
        open: (path, options) =>
          options?.flag === "wx"
            ? Effect.zipRight(Deferred.succeed(began, undefined), Effect.never)
            : fs.open(path, options)
      }
      const fiber = yield* Effect.fork(
        Effect.provideService(ModelExport.toGguf({ base, adapter, out, replace: true }), FileSystem.FileSystem, slow)
      )
      yield* Deferred.await(began)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["model.gguf"])
      assert.strictEqual(yield* fs.readFileString(out), "mine")
      yield* ModelExport.toGguf({ base, adapter, out, replace: true })
      yield* ModelDirectory.open(out)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["model.gguf"])
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

describe("Values of files", () => {
  it.each(["F16", "BF16", "Q8_0"] as const)("are in %s the bytes that the Python package writes", (name) => {
    const encoded = fixtures.read<Record<string, string>>("gguf/encoded.json")
    const given = fixtures.decodeTensor({ shape: [], f32: encoded["values"]! })
    assert.strictEqual(Buffer.from(values.encode(given, name)).toString("base64"), encoded[name])
  })

  it("in half precision are all numbers that there are, and the nearest one of others", () => {
    for (let bits = 0; bits < 0x7c00; bits++) {
      const value = halfValue(bits)
      assert.strictEqual(halfBits(value), bits)
      assert.strictEqual(halfBits(-value), bits | 0x8000)
      // ties go to the even one
      const next = halfValue(bits + 1)
      if (Number.isFinite(next)) assert.strictEqual(halfBits((value + next) / 2), bits + (bits % 2))
    }
    assert.strictEqual(halfBits(65_520), 0x7c00)
    assert.strictEqual(halfBits(1e-9), 0)
    assert.isTrue(Number.isNaN(halfValue(halfBits(Number.NaN))))
    assert.strictEqual(brainBits(1 + 2 ** -9), 0x3f80)
  })

  it("in Q8_0 differ by half a step at most", () => {
    const given = Float32Array.from({ length: 320 }, (_, i) => Math.tan(i * 0.37))
    const read = dequantize(formats.get(8)!, values.encode(given, "Q8_0"), given.length)
    for (let block = 0; block < 10; block++) {
      const part = given.subarray(block * 32, block * 32 + 32)
      const largest = Math.max(...part.map(Math.abs))
      part.forEach((value, i) => assert.approximately(read[block * 32 + i]!, value, (largest / 127) * 0.57))
    }
  })
})
