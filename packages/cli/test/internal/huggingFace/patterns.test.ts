import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as patterns from "../../../src/internal/huggingFace/patterns.ts"

const files = ["adapter_model.safetensors", "README.md", "adapter_config.json", "logs/a.txt"]

const compile = (pattern: string) => Either.getOrThrow(patterns.compile("allow-pattern", pattern))

describe("patterns", () => {
  it("select all files if there are none", () => {
    assert.deepStrictEqual(patterns.select(files, [], []), files.slice().sort())
  })

  for (const [pattern, names] of [
    ["*.json", ["adapter_config.json"]],
    ["adapter_*", ["adapter_config.json", "adapter_model.safetensors"]],
    ["?EADME.md", ["README.md"]],
    ["[!a]*", ["README.md", "logs/a.txt"]],
    ["logs/", ["logs/a.txt"]],
    ["[A-Z]*.md", ["README.md"]],
    ["*[]g]/*", []],
    ["*.[!j]*", ["README.md", "adapter_model.safetensors", "logs/a.txt"]],
    ["README.m", []]
  ] as const) {
    it(`select ${names.length} of the files with ${pattern}`, () => {
      assert.deepStrictEqual(patterns.select(files, [compile(pattern)], []), names)
      assert.deepStrictEqual(
        patterns.select(files, [], [compile(pattern)]),
        files.filter((name) => !(names as ReadonlyArray<string>).includes(name)).sort()
      )
    })
  }

  for (const [pattern, why] of [
    ["", "empty"],
    ["adapter[ab", "not closed"],
    ["[", "not closed"],
    ["[z-a]*", "range z-a is reversed"],
    ["*".repeat(257), "more than 256"]
  ] as const) {
    it(`reject ${JSON.stringify(pattern.slice(0, 12))} because of its form, as a usage error`, () => {
      const error = Either.getOrThrow(Either.flip(patterns.compile("ignore-pattern", pattern)))
      assert.strictEqual(error._tag, "UsageError")
      assert.include(error.message, "--ignore-pattern")
      assert.include(error.message, why)
    })
  }

  it("match in linear time, also with many stars", () => {
    assert.deepStrictEqual(patterns.select(["a".repeat(250)], [compile(`${"*a".repeat(100)}*b`)], []), [])
  })
})
