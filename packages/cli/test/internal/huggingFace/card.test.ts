import { assert, describe, it } from "@effect/vitest"
import * as card from "../../../src/internal/huggingFace/card.ts"

const path = "tinker://run/sampler_weights/final"
const weights = { base_model: "Qwen/Qwen3-8B", is_lora: true, lora_rank: 8, train_attn: true, train_mlp: true }
const given: card.Card = { path, repo: "ada/adapter", branch: undefined, weights }

describe("the model card", () => {
  it("names the checkpoint and the base model", () => {
    const text = card.write(undefined, given)
    assert.include(text, `tinker_path: ${path}\n`)
    assert.include(text, "base_model: Qwen/Qwen3-8B\n")
    assert.include(text, "- rank 8\n- on attention, MLP\n")
    assert.include(text, 'PeftModel.from_pretrained(base, "ada/adapter")')
  })

  it("loads the adapter from the branch that it was pushed to", () => {
    const text = card.write(undefined, { ...given, branch: 'feature/x+"y' })
    assert.include(text, 'PeftModel.from_pretrained(base, "ada/adapter", revision="feature/x+\\"y")')
    const unknown = card.write(undefined, { ...given, branch: "final", weights: undefined })
    assert.include(unknown, 'from_pretrained("ada/adapter", revision="final", device_map="auto")')
  })

  it("names only the checkpoint if nothing is known about the weights", () => {
    const text = card.write(undefined, { ...given, weights: undefined })
    assert.include(text, path)
    assert.notInclude(text, "base_model")
    assert.notInclude(text, "undefined")
  })

  it("has no base model in its metadata if that is a directory, which the hub rejects", () => {
    const text = card.write(undefined, { ...given, weights: { ...weights, base_model: "/data/models/a b" } })
    assert.notInclude(text.split("---")[1]!, "base_model")
  })

  it("is added once to a README that a person wrote, and updated there", () => {
    const mine = "---\nlicense: mit\n---\n\n# My adapter\n\nIt costs $1 & more.\n"
    const added = card.write(mine, given)
    assert.isTrue(added.startsWith(mine))
    assert.strictEqual(card.write(added, given), added)
    const edited = `${added}\nMore of mine.\n`
    const updated = card.write(edited, { ...given, branch: "v2" })
    assert.isTrue(updated.startsWith(mine))
    assert.isTrue(updated.endsWith("\nMore of mine.\n"))
    assert.include(updated, 'revision="v2"')
    assert.strictEqual(updated.split("tinker:begin").length, 2)
  })

  it("tells the README of another checkpoint from one that mentions others", () => {
    const other = "tinker://run/weights/first"
    assert.strictEqual(card.otherCheckpoint(undefined, path), undefined)
    assert.strictEqual(card.otherCheckpoint("nothing", path), undefined)
    assert.strictEqual(card.otherCheckpoint(`see ${other}.`, path), `${other}.`)
    assert.strictEqual(card.otherCheckpoint(`from ${other} to ${path}`, path), undefined)
    const text = card.write(`began as ${other}`, given)
    assert.strictEqual(card.otherCheckpoint(text, path), undefined)
    assert.strictEqual(card.otherCheckpoint(text, other), path)
    assert.strictEqual(card.otherCheckpoint(`---\ntinker_path: ${path}\n---\nafter ${other}`, other), path)
  })
})
