import { assert, describe, it } from "@effect/vitest"
import * as Datum from "@effect-tinker/api/Datum"
import type * as LossFn from "@effect-tinker/api/LossFn"

/** Takes data for a loss function, as a client does. */
const train = <L extends LossFn.LossFn>(data: ReadonlyArray<Datum.For<L>>, _lossFn: L): number => data.length

const supervised = Datum.make({ model_input: [1], loss_fn_inputs: { target_tokens: [2], weights: [1] } })
const policy = Datum.make({ model_input: [1], loss_fn_inputs: { target_tokens: [2], logprobs: [0], advantages: [1] } })
const any: Datum.Datum = supervised

describe("the type of a datum", () => {
  it("fits a loss only if the datum has its inputs", () => {
    assert.strictEqual(train([supervised], "cross_entropy"), 1)
    assert.strictEqual(train([policy], "ppo"), 1)
    assert.strictEqual(train([policy], "dro"), 1)
    assert.strictEqual(train([any], "something new"), 1)
    // @ts-expect-error ppo needs logprobs and advantages
    train([supervised], "ppo")
    const unweighted = Datum.make({ model_input: [1], loss_fn_inputs: { target_tokens: [2] } })
    assert.strictEqual(train([unweighted], "cross_entropy"), 1)
    // @ts-expect-error cross_entropy needs target tokens
    train([Datum.make({ model_input: [1], loss_fn_inputs: { weights: [1] } })], "cross_entropy")
    // @ts-expect-error gspo needs a mask
    train([policy], "gspo")
    // @ts-expect-error the inputs of this datum are unknown
    train([any], "ppo")
  })

  it("requires the inputs of a loss by name", () => {
    const datum = Datum.forLoss("ppo", {
      model_input: [1],
      loss_fn_inputs: { target_tokens: [2], logprobs: [0], advantages: [1] }
    })
    assert.strictEqual(train([datum], "cispo"), 1)
    const incomplete = Datum.forLoss("ppo", {
      model_input: [1],
      // @ts-expect-error advantages are missing
      loss_fn_inputs: { target_tokens: [2], logprobs: [0] }
    })
    assert.strictEqual(Datum.problem(incomplete, "ppo")?.path, "loss_fn_inputs.advantages")
  })

  it("fits a loss after `refine` has checked it", () => {
    const checked = Datum.refine(any, "cross_entropy")
    assert.strictEqual(checked._tag, "Right")
    if (checked._tag === "Right") assert.strictEqual(train([checked.right], "cross_entropy"), 1)
  })

  it("lists its inputs by name", () => {
    assert.strictEqual(supervised.loss_fn_inputs.weights.data.length, 1)
  })
})
