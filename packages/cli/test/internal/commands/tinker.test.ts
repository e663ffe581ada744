import { assert, describe, it } from "@effect/vitest"
import { listBelow, pathOf, unknownCommand } from "../../../src/internal/commands/tinker.ts"

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

describe("unknownCommand", () => {
  for (const [line, message] of [
    ["chekpoint list", /did you mean 'tinker checkpoint'\?/],
    ["-f json smaple x", /did you mean 'tinker sample'\?/],
    ["checkpoint lst", /did you mean 'tinker checkpoint list'\?/],
    ["run xyzzy", /no command 'tinker run xyzzy': there are list, info$/],
    ["sample chekpoint", undefined],
    ["run list", undefined],
    ["--help", undefined],
    ["", undefined]
  ] as const) {
    it(`${message === undefined ? "accepts" : "suggests a command for"} "${line}"`, () => {
      const found = unknownCommand(line.split(" ").filter((word) => word !== ""))
      if (message === undefined) assert.strictEqual(found, undefined)
      else assert.match(found ?? "", message)
    })
  }
})

describe("listBelow", () => {
  it("names the commands of a group, and all of them for tinker itself", () => {
    assert.deepStrictEqual(
      listBelow(["run"]).map(({ name }) => name),
      ["list", "info"]
    )
    assert.includeMembers(
      listBelow([]).map(({ name }) => name),
      ["train", "checkpoint list", "doctor"]
    )
    assert.deepStrictEqual(listBelow(["sample"]), [])
  })
})
