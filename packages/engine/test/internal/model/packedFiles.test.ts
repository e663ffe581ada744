import * as Datum from "@effect-tinker/api/Datum"
import { NodeContext } from "@effect/platform-node"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { widen } from "../../../src/internal/executors/packed.ts"
import * as sampler from "../../../src/internal/generation/sampler.ts"
import * as budget from "../../../src/internal/model/budget.ts"
import * as rowAdapter from "../../../src/internal/lora/rowAdapter.ts"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as ModelDirectory from "../../../src/ModelDirectory.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { crossEntropy, sampleRequest, trainAll } from "../../utils/requests.ts"

const directory = fixtures.path("tiny-llama")
const fixture = fixtures.read<fixtures.Tiny>("tiny-llama.json")

describe("Weights in 16 bits", () => {
  it.effect("are read from shards of BF16 and F16 as they are, with shifted norms where a family has them", () =>
    Effect.gen(function* () {
      for (const path of [directory, fixtures.path("families/gemma3")]) {
        const model = yield* ModelDirectory.open(path)
        const half = (yield* ModelDirectory.packedWeights(model))!
        const wide = yield* ModelDirectory.weights(model)
        assert.deepStrictEqual(Object.keys(half).sort(), Object.keys(wide).sort())
        for (const [name, { data, shape }] of Object.entries(wide)) {
          const own = half[name]!
          assert.deepStrictEqual(own.shape, shape)
          assert.strictEqual("packed" in own, shape.length > 1)
          assert.deepStrictEqual("packed" in own ? widen(own.packed) : own.data, data)
        }
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("are not those of a directory in float32, or of an incomplete one", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const qwen = yield* ModelDirectory.open(fixtures.path("tiny-qwen3"))
      assert.isUndefined(yield* ModelDirectory.packedBytes(qwen))
      assert.isUndefined(yield* ModelDirectory.packedWeights(qwen))
      const source = fixtures.path("families/qwen2")
      const copy = yield* fs.makeTempDirectoryScoped()
      yield* fs.copyFile(`${source}/config.json`, `${copy}/config.json`)
      const bytes = yield* fs.readFile(`${source}/model.safetensors`)
      yield* fs.writeFile(`${copy}/model.safetensors`, bytes)
      const model = yield* ModelDirectory.open(copy)
      assert.isAbove((yield* ModelDirectory.packedBytes(model))!, 40_000)
      yield* fs.writeFile(`${copy}/model.safetensors`, bytes.subarray(0, bytes.length - 2))
      assert.isUndefined(yield* ModelDirectory.packedBytes(model))
      yield* fs.writeFile(`${copy}/model.safetensors`, bytes.subarray(0, 1000))
      assert.include((yield* Effect.flip(ModelDirectory.packedWeights(model))).reason, "is not a safetensors file")
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

const ggufs = ["tiny-llama", "few-bits", "gemma3", "mistral", "phi3", "qwen2", "smollm3"].map((name) =>
  fixtures.path(`gguf/${name}.gguf`)
)

describe("Weights of a GGUF file", () => {
  it.effect("stay in the blocks of the file, with the rows and the values that they have in float32", () =>
    Effect.gen(function* () {
      const kept: Array<string> = []
      for (const path of ggufs) {
        const model = yield* ModelDirectory.open(path)
        const [packed, wide] = [yield* ModelDirectory.packedWeights(model), yield* ModelDirectory.weights(model)]
        const bytes = yield* ModelDirectory.packedBytes(model)
        assert.strictEqual(packed === undefined, bytes === undefined)
        if (packed === undefined) continue
        assert.deepStrictEqual(Object.keys(packed).sort(), Object.keys(wide).sort())
        let sum = 0
        for (const [name, { data, shape }] of Object.entries(wide)) {
          const own = packed[name]!
          assert.deepStrictEqual(own.shape, shape)
          sum += "packed" in own ? own.packed.bytes : own.data.byteLength
          assert.deepStrictEqual("packed" in own ? widen(own.packed) : own.data, data, name)
          if (!("packed" in own)) continue
          kept.push(name)
          assert.isBelow(own.packed.bytes, data.byteLength)
          // a row, as embeddings are looked up, and a part of the rows
          const row = new Float32Array(shape[1]!)
          own.packed.widenTo(row.length, row)
          assert.deepStrictEqual(row, data.slice(row.length, 2 * row.length))
          const part = own.packed.slice(row.length, 3 * row.length)
          assert.strictEqual(part.length, 2 * row.length)
          assert.deepStrictEqual(widen(part), data.slice(row.length, 3 * row.length))
        }
        assert.strictEqual(sum, bytes)
      }
      assert.isTrue(kept.some((name) => name.endsWith("q_proj.weight")))
      assert.isTrue(kept.includes("model.embed_tokens.weight"))
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("train as in float32, layer by layer, in less memory", () =>
    Effect.gen(function* () {
      const data = [Datum.fromPromptCompletion([5, 6], [7, 8, 9, 10])]
      for (const name of ["few-bits", "mistral"]) {
        const path = fixtures.path(`gguf/${name}.gguf`)
        const [packed, wide] = [
          yield* fixtures.load(path, undefined, undefined, { packed: true }),
          yield* fixtures.load(path)
        ]
        assert.isTrue(
          Object.values(packed.weights).some((weight) => "packed" in weight),
          name
        )
        assert.isBelow(packed.weightBytes, wide.weightBytes)
        const [own, expected] = yield* Effect.forEach([packed, wide], (base) =>
          Effect.gen(function* () {
            const model = yield* trainer.make(base, { rank: 4, seed: 3, ...trainAll })
            const { metrics } = yield* model.forwardBackward(crossEntropy(data))
            return { loss: metrics["loss:sum"]!, gradient: yield* fixtures.takeGradient(model) }
          })
        )
        fixtures.assertNear([own!.loss], [expected!.loss])
        for (const [weight, values] of Object.entries(expected!.gradient)) {
          fixtures.assertNear(own!.gradient[weight]!, values, weight)
        }
      }
    })
  )
})

for (const executor of fixtures.availableExecutors) {
  describe(`A model whose weights are in 16 bits, on ${executor}`, () => {
    it.scoped("trains as the reference does, and samples as with weights in float32", () =>
      Effect.gen(function* () {
        const base = yield* fixtures.load(directory, undefined, executor, { packed: true })
        assert.isTrue(Object.values(base.weights).some((weight) => "packed" in weight))
        const one = fixture.cases[0]!
        const model = yield* trainer.make(base, { rank: fixture.rank, seed: 0, ...trainAll })
        yield* model.load(fixtures.makeAdapter(fixtures.peftArrays(fixture.lora), fixture.rank), undefined)
        const data = fixture.data[one.data]!.map(fixtures.datum)
        const output = yield* model.forwardBackward({ data, loss_fn: one.loss_fn, loss_fn_config: {} })
        fixtures.assertNear([output.metrics["loss:sum"]!], [one.loss])
        const gradient = yield* fixtures.takeGradient(model)
        for (const [weight, expected] of Object.entries(fixtures.peftArrays(one.grads))) {
          fixtures.assertNear(gradient[weight]!, expected, weight)
        }
        const wide = yield* fixtures.load(directory, undefined, executor)
        const request = sampleRequest({ prompt: fixture.tokens, num_samples: 2 })
        const [a, b] = yield* Effect.forEach([base, wide], (model) => sampler.sample(model, rowAdapter.none, request))
        a!.sequences.forEach(({ tokens }, i) => assert.deepStrictEqual(tokens, b!.sequences[i]!.tokens))
      })
    )
  })
}

describe("The memory of a model in 16 bits", () => {
  it.scoped("is less in training, and more where a program has all layers", () =>
    Effect.gen(function* () {
      const [half, wide] = [
        yield* fixtures.load(directory, undefined, undefined, { packed: true }),
        yield* fixtures.load(directory)
      ]
      assert.isBelow(half.weightBytes, wide.weightBytes)
      assert.isAbove(half.widenedValues, 0)
      const tight = { ...half, memoryBudget: budget.estimate(half, half.widenedValues) }
      const sample = sampler.sample(tight, rowAdapter.none, sampleRequest())
      assert.include(yield* fixtures.userErrorReason(sample), "memoryBudget")
    })
  )
})
