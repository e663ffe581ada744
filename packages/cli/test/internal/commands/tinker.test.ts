import { assert, describe, it } from "@effect/vitest"
import { pathOf } from "../../../src/internal/commands/tinker.ts"

describe("pathOf", () => {
  for (const [line, path] of [
    ["run list --limit 1", ["run", "list"]],
    ["-f json checkpoint --help", ["checkpoint"]],
    ["checkpoint -f json push-hf x", ["checkpoint", "push-hf"]],
    ["sample sample", ["sample"]],
    ["nope list", []],
    ["", []]
  ] as const) {
    it(`finds ${path.length} names in "${line}"`, () => {
      assert.deepStrictEqual(pathOf(line.split(" ")), path)
    })
  }
})
