import * as Datum from "@effect-tinker/api/Datum"
import type * as Training from "@effect-tinker/api/Training"
import { assert, describe, it } from "@effect/vitest"
import * as Nll from "../src/Nll.ts"

const example = Datum.forLoss("cross_entropy", {
  model_input: [1, 104, 228, 100, 2],
  loss_fn_inputs: { target_tokens: [104, 228, 100, 2, 105], weights: [0, 0.5, 0.25, 1, 2] }
})

const output = (...logprobs: ReadonlyArray<ReadonlyArray<number>>): Training.ForwardBackwardOutput => ({
  loss_fn_output_type: "",
  loss_fn_outputs: logprobs.map((data) => ({ logprobs: { dtype: "float32", data: Float32Array.from(data) } })),
  metrics: {}
})

// the token 228 is the letter ä, of two bytes; 2 ends a turn
const decoder: Nll.Decoder = {
  decode: (tokens) => String.fromCharCode(...tokens),
  isSpecial: (token) => token < 3
}

describe("the negative log-likelihood", () => {
  it("is the mean over the weights, and the weight of a special token counts", () => {
    const value = Nll.mean(output([-9, -1, -2, -3, -4]), [example])
    assert.closeTo(value!, (0.5 + 0.5 + 3 + 8) / 3.75, 1e-6)
  })

  it("is not known for examples without weight", () => {
    const unweighted = Datum.forLoss("cross_entropy", {
      model_input: [1],
      loss_fn_inputs: { target_tokens: [2], weights: [0] }
    })
    assert.isUndefined(Nll.mean(output([-1]), [unweighted]))
    assert.isUndefined(Nll.bitsPerByte(output([-1]), [unweighted], decoder))
  })

  it("counts tokens, tokens with weight, and their weight", () => {
    assert.deepStrictEqual(
      [Nll.tokensOf([example, example]), Nll.trainedTokensOf([example]), Nll.weightOf([example])],
      [10, 4, 3.75]
    )
  })
})

describe("bits per byte", () => {
  it("are counted over selected tokens that are text, without their weights", () => {
    const value = Nll.bitsPerByte(output([-9, -1, -2, -3, -4]), [example], decoder)
    // "äd" and "i": four bytes
    assert.closeTo(value!, 7 / (Math.LN2 * 4), 1e-6)
  })

  it("are not known without a logprob for each target", () => {
    assert.isUndefined(Nll.bitsPerByte(output([-1, -2]), [example], decoder))
    assert.isUndefined(Nll.bitsPerByte(output(), [example], decoder))
  })
})
