import { NodeContext } from "@effect/platform-node"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { widen } from "../../../src/internal/executors/half.ts"
import * as sampler from "../../../src/internal/generation/sampler.ts"
import * as budget from "../../../src/internal/model/budget.ts"
import * as rowAdapter from "../../../src/internal/lora/rowAdapter.ts"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as ModelDirectory from "../../../src/ModelDirectory.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { sampleRequest, trainAll } from "../../utils/requests.ts"

const directory = fixtures.path("tiny-llama")
const fixture = fixtures.read<fixtures.Tiny>("tiny-llama.json")

describe("Weights in 16 bits", () => {
  it.effect("are read from shards of BF16 and F16 as they are, with shifted norms where a family has them", () =>
    Effect.gen(function* () {
      for (const path of [directory, fixtures.path("families/gemma3")]) {
        const model = yield* ModelDirectory.open(path)
        const half = (yield* ModelDirectory.halfWeights(model))!
        const wide = yield* ModelDirectory.weights(model)
        assert.deepStrictEqual(Object.keys(half).sort(), Object.keys(wide).sort())
        for (const [name, { data, shape }] of Object.entries(wide)) {
          const own = half[name]!
          assert.deepStrictEqual(own.shape, shape)
          assert.strictEqual("half" in own, shape.length > 1)
          assert.deepStrictEqual("half" in own ? widen(own.half) : own.data, data)
        }
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("are not those of a directory in float32, or of an incomplete one", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const qwen = yield* ModelDirectory.open(fixtures.path("tiny-qwen3"))
      assert.isFalse(yield* ModelDirectory.isHalf(qwen))
      assert.isUndefined(yield* ModelDirectory.halfWeights(qwen))
      const source = fixtures.path("families/qwen2")
      const copy = yield* fs.makeTempDirectoryScoped()
      yield* fs.copyFile(`${source}/config.json`, `${copy}/config.json`)
      const bytes = yield* fs.readFile(`${source}/model.safetensors`)
      yield* fs.writeFile(`${copy}/model.safetensors`, bytes)
      const model = yield* ModelDirectory.open(copy)
      assert.isTrue(yield* ModelDirectory.isHalf(model))
      yield* fs.writeFile(`${copy}/model.safetensors`, bytes.subarray(0, bytes.length - 2))
      assert.isFalse(yield* ModelDirectory.isHalf(model))
      yield* fs.writeFile(`${copy}/model.safetensors`, bytes.subarray(0, 1000))
      assert.include((yield* Effect.flip(ModelDirectory.halfWeights(model))).reason, "is not a safetensors file")
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

for (const executor of fixtures.availableExecutors) {
  describe(`A model whose weights are in 16 bits, on ${executor}`, () => {
    it.scoped("trains as the reference does, and samples as with weights in float32", () =>
      Effect.gen(function* () {
        const base = yield* fixtures.load(directory, undefined, executor, { half: true })
        assert.isTrue(Object.values(base.weights).some((weight) => "half" in weight))
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
        yield* fixtures.load(directory, undefined, undefined, { half: true }),
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
