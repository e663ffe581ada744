import { assert, describe, it } from "@effect/vitest"
import * as patterns from "../../../src/internal/huggingFace/patterns.ts"

const files = ["adapter_model.safetensors", "README.md", "adapter_config.json", "logs/a.txt"]

describe("patterns", () => {
  it("make valid names for repositories and branches", () => {
    assert.strictEqual(patterns.nameOf("tinker-Qwen3 8B-run:train:0."), "tinker-Qwen3-8B-run-train-0")
  })

  it("select all files if there are none", () => {
    assert.deepStrictEqual(patterns.select(files, [], []), files.slice().sort())
  })

  for (const [pattern, names] of [
    ["*.json", ["adapter_config.json"]],
    ["adapter_*", ["adapter_config.json", "adapter_model.safetensors"]],
    ["?EADME.md", ["README.md"]],
    ["[!a]*", ["README.md", "logs/a.txt"]],
    ["logs/", ["logs/a.txt"]],
    ["README.m", []]
  ] as const) {
    it(`select ${names.length} of the files with ${pattern}`, () => {
      assert.deepStrictEqual(patterns.select(files, [pattern], []), names)
      assert.deepStrictEqual(
        patterns.select(files, [], [pattern]),
        files.filter((name) => !(names as ReadonlyArray<string>).includes(name)).sort()
      )
    })
  }
})
