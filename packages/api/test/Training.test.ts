import { assert, describe, it } from "@effect/vitest"
import * as Datum from "@effect-tinker/api/Datum"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as Training from "@effect-tinker/api/Training"
import * as Either from "effect/Either"

const data = [Datum.fromPromptCompletion([1], [2, 3])]

describe("Training", () => {
  it("reads the logprobs of a pass, and says what an output lacks", () => {
    const logprobs = TensorData.float32([-1, -2])
    const read = (loss_fn_outputs: Training.ForwardBackwardOutput["loss_fn_outputs"]) =>
      Training.logprobsOf({ loss_fn_outputs }, data)
    assert.deepStrictEqual(read([{ logprobs }]), Either.right([Float32Array.of(-1, -2)]))
    assert.deepStrictEqual(read([]), Either.left({ path: "loss_fn_outputs", reason: "has 0 entries for 1 datums" }))
    assert.deepStrictEqual(read([{}]), Either.left({ path: "loss_fn_outputs[0].logprobs", reason: "is missing" }))
    assert.deepStrictEqual(
      read([{ logprobs: TensorData.float32([-1]) }]),
      Either.left({ path: "loss_fn_outputs[0].logprobs", reason: "has 1 values for 2 targets" })
    )
  })
})
