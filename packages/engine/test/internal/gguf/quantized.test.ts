import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { QuantizedMatrix } from "../../../src/internal/onnx/quantized.ts"
import * as rowAdapter from "../../../src/internal/lora/rowAdapter.ts"
import type { LoadedModel } from "../../../src/internal/model/loaded.ts"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as sampler from "../../../src/internal/generation/sampler.ts"
import * as JaxEngine from "../../../src/JaxEngine.ts"
import * as ModelDirectory from "../../../src/ModelDirectory.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { sampleRequest, trainAll } from "../../utils/requests.ts"

const file = fixtures.path("gguf/few-bits.gguf")

/** The value of a matrix by the definition of its form. */
const valueAt = ({ bits, columns, middles, scales, values }: QuantizedMatrix, row: number, column: number): number => {
  const at = row * columns + column
  const block = Math.floor(at / 32)
  const value = bits === 8 ? values[at]! : (values[at >> 1]! >> (4 * (at % 2))) & 15
  return scales[block]! * (value - (bits === 8 ? 128 : 8)) + (middles?.[block] ?? 0)
}

const exactFormats = /q_proj|k_proj|v_proj|gate_proj|down_proj|embed_tokens/

describe("The matrices of a GGUF file in few bits", () => {
  it.effect("have the values of the file, which are rounded to 8 bits in other formats", () =>
    Effect.gen(function* () {
      const model = yield* ModelDirectory.open(file)
      const weights = yield* ModelDirectory.weights(model)
      const matrices = (yield* ModelDirectory.quantizedWeights(model))!
      const names = Object.keys(weights).filter((name) => weights[name]!.shape.length === 2)
      assert.deepStrictEqual(Object.keys(matrices).sort(), names.sort())
      for (const [name, matrix] of Object.entries(matrices)) {
        const { data, shape } = weights[name]!
        const [rows, columns] = shape as [number, number]
        assert.deepStrictEqual([matrix.rows, matrix.columns], [rows, columns])
        const own = Float32Array.from(data, (_, i) => valueAt(matrix, Math.floor(i / columns), i % columns))
        fixtures.assertNear(own, data, name, exactFormats.test(name) ? 1e-6 : 5e-3)
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("are not used where samples are to be deterministic", () =>
    Effect.gen(function* () {
      const options = { executor: "wasm", quantizedSampling: true, deterministic: true } as const
      const error = yield* Effect.flip(Effect.scoped(JaxEngine.make(options)))
      assert.include(error.message, "quantizedSampling and deterministic exclude each other")
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

describe.runIf(fixtures.isNativeAvailable)("Sampling in few bits", () => {
  const load = (quantizedSampling: boolean) => fixtures.load(file, undefined, "native", { quantizedSampling })
  const prompt = [5, 9, 41, 77, 3]

  /** An adapter that changes the distribution. */
  const trained = (base: LoadedModel) =>
    Effect.gen(function* () {
      const model = yield* trainer.make(base, { rank: 4, seed: 1, ...trainAll })
      const adapter = yield* model.adapter
      const weights = Object.entries(adapter.weights).map(([name, { data, shape }]) => [
        name,
        { shape, data: name.includes("lora_B") ? data.map((_, i) => 0.02 * Math.sin(i)) : data }
      ])
      return yield* rowAdapter.make(base, { ...adapter, weights: Object.fromEntries(weights) })
    })

  it.scoped("gives nearly the logprobs of float32, and those alone behind an exact prompt, with adapters too", () =>
    Effect.gen(function* () {
      const [exact, few] = [yield* load(false), yield* load(true)]
      for (const adapter of [rowAdapter.none, yield* trained(exact)]) {
        const off: Array<number> = []
        for (const rows of [1, 3, 9]) {
          const request = sampleRequest({ prompt, num_samples: rows, params: { max_tokens: 12 } })
          const [a, b] = [yield* sampler.sample(exact, adapter, request), yield* sampler.sample(few, adapter, request)]
          for (const [i, { logprobs, tokens }] of a.sequences.entries()) {
            const own = b.sequences[i]!
            assert.strictEqual(own.logprobs![0], logprobs![0])
            // the same random numbers choose the same tokens, until one is at the border of two
            for (let j = 1; j < tokens.length && own.tokens[j - 1] === tokens[j - 1]; j++) {
              if (own.tokens[j] === tokens[j]) off.push(Math.abs(own.logprobs![j]! - logprobs![j]!))
            }
          }
        }
        assert.isAtLeast(off.length, 40)
        assert.isBelow(off.reduce((a, b) => a + b) / off.length, 0.02)
        assert.isAbove(Math.max(...off), 0)
      }
    })
  )
})
