import { assert, describe, it } from "@effect/vitest"
import { card, checkpointOf } from "../../../src/internal/huggingFace/card.ts"

const path = "tinker://run/sampler_weights/final"

describe("the model card", () => {
  it("names the checkpoint and the base model", () => {
    const text = card({
      path,
      repo: "ada/adapter",
      weights: { base_model: "Qwen/Qwen3-8B", is_lora: true, lora_rank: 8, train_attn: true, train_mlp: true }
    })
    assert.strictEqual(checkpointOf(text), path)
    assert.include(text, "base_model: Qwen/Qwen3-8B\n")
    assert.include(text, "- rank 8\n- on attention, MLP\n")
  })

  it("names only the checkpoint if nothing is known about the weights", () => {
    const text = card({ path, repo: "ada/adapter", weights: undefined })
    assert.strictEqual(checkpointOf(text), path)
    assert.notInclude(text, "base_model")
    assert.notInclude(text, "undefined")
  })
})
