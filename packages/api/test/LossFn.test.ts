import { assert, describe, it } from "@effect/vitest"
import * as LossFn from "@effect-tinker/api/LossFn"

describe("LossFn", () => {
  it("lists the required inputs of a known loss, and none for other losses", () => {
    assert.deepStrictEqual(LossFn.requiredInputs("ppo"), ["target_tokens", "logprobs", "advantages"])
    assert.deepStrictEqual(LossFn.requiredInputs("unheard-of"), [])
    assert.deepStrictEqual(LossFn.requiredInputs("toString"), [])
  })

  it("keeps only the numeric parameters of a config", () => {
    assert.deepStrictEqual(LossFn.numericConfig({ beta: 0.1, loss_id: "x" }), { beta: 0.1 })
  })
})
