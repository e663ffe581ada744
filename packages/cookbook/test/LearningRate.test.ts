import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as LearningRate from "../src/LearningRate.ts"

const rates = (schedule: LearningRate.Schedule, steps: number) =>
  Array.from({ length: steps }, (_, step) => LearningRate.at(schedule, step, steps))

describe("the learning rate", () => {
  it("is 1 - s/T, (1 + cos(π s/T)) / 2 or 1 times its peak", () => {
    assert.deepStrictEqual(rates(LearningRate.linear(8), 4), [8, 6, 4, 2])
    assert.deepStrictEqual(rates(LearningRate.constant(3), 3), [3, 3, 3])
    rates(LearningRate.cosine(2), 4).forEach((rate, step) =>
      assert.closeTo(rate, [2, 1 + Math.SQRT1_2, 1, 1 - Math.SQRT1_2][step]!, 1e-12)
    )
  })

  it("rises in equal parts while it warms up, and then has its whole schedule in the steps that are left", () => {
    assert.deepStrictEqual(rates(LearningRate.linear(8, { warmUpSteps: 2 }), 6), [4, 8, 8, 6, 4, 2])
  })

  it("never leaves 0 to its peak, rises up to the peak, and never rises after it", () =>
    fc.assert(
      fc.property(
        fc.constantFrom(LearningRate.constant, LearningRate.linear, LearningRate.cosine),
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 1, max: 60 }),
        (make, warmUpSteps, steps) => {
          const all = rates(make(1e-3, { warmUpSteps }), steps)
          for (const [step, rate] of all.entries()) {
            assert.isTrue(rate >= 0 && rate <= 1e-3 && Number.isFinite(rate))
            if (step === 0) continue
            if (step < warmUpSteps) assert.isAbove(rate, all[step - 1]!)
            else if (step > warmUpSteps) assert.isAtMost(rate, all[step - 1]!)
          }
        }
      )
    ))
})

describe("the recommended learning rate", () => {
  // the values that the cookbook of the service gives
  const expected: ReadonlyArray<readonly [model: string, rate: number]> = [
    ["meta-llama/Llama-3.2-1B", 4.908e-4],
    ["meta-llama/Llama-3.2-3B", 3.576e-4],
    ["meta-llama/Llama-3.1-8B-Instruct", 2.856e-4],
    ["meta-llama/Llama-3.3-70B-Instruct", 1.662e-4],
    ["Qwen/Qwen3-30B-A3B-Instruct-2507", 4.991e-4],
    ["Qwen/Qwen3-4B-Instruct-2507", 4.905e-4],
    ["Qwen/Qwen3-8B-Base", 4.73e-4],
    ["Qwen/Qwen3-8B:peft:131072", 4.73e-4],
    ["Qwen/Qwen3-32B", 4.649e-4]
  ]

  it.effect("is that of the reference for each family that was measured", () =>
    Effect.gen(function* () {
      for (const [model, rate] of expected) {
        assert.closeTo(yield* LearningRate.recommended(model), rate, 6e-8, model)
      }
      assert.closeTo(yield* LearningRate.recommended("my/llama", { hiddenSize: 4096 }), 2.856e-4, 6e-8)
    })
  )

  it.effect("is refused for what was not measured and for what is not known", () =>
    Effect.gen(function* () {
      const refused = (model: string) => Effect.flip(LearningRate.recommended(model))
      assert.strictEqual((yield* refused("deepseek-ai/DeepSeek-V3.1")).reason, "NotCalibrated")
      assert.strictEqual((yield* refused("effect-tinker/nano")).reason, "UnknownModel")
      // no size of the table stands in this name, although the letters do
      assert.strictEqual((yield* refused("Qwen/Qwen3-4B5")).reason, "UnknownModel")
      assert.include((yield* refused("my/qwen")).message, "its hidden size is not known; give one")
    })
  )
})
