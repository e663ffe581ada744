import { assert, describe, it } from "@effect/vitest"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

describe("TinkerPath", () => {
  const paths: ReadonlyArray<readonly [string, TinkerPath.TinkerPath | undefined]> = [
    ["tinker://s:train:0/weights/a", { training_run_id: "s:train:0", kind: "weights", name: "a" }],
    ["tinker://r/sampler_weights/a.b-1", { training_run_id: "r", kind: "sampler_weights", name: "a.b-1" }],
    ["tinker://r/external_weights/a", { training_run_id: "r", kind: "external_weights", name: "a" }],
    ["tinker://r/a", { training_run_id: "r", kind: "sampler_weights", name: "a" }],
    ["tinker://r/other/a", undefined],
    ["tinker://r/toString/a", undefined],
    ["tinker://r/weights/a/b", undefined],
    ["tinker://r", undefined],
    ["tinker:///weights/a", undefined],
    ["tinker://r/weights/", undefined],
    ["http://r/weights/a", undefined],
    ["", undefined]
  ]
  it.each(paths)("parses %s", (path, expected) => {
    assert.deepStrictEqual(TinkerPath.parse(path), Option.fromNullable(expected))
  })

  it("formats a path to the text that it was parsed from", () => {
    for (const [path, parsed] of paths) {
      if (parsed !== undefined && path.split("/").length === 5) assert.strictEqual(TinkerPath.format(parsed), path)
    }
  })

  it("has the id and the type of the checkpoint", () => {
    const path = { training_run_id: "r", kind: "external_weights", name: "a" } as const
    assert.strictEqual(TinkerPath.checkpointId(path), "external_weights/a")
    assert.strictEqual(TinkerPath.checkpointType(path), "external")
    assert.strictEqual(TinkerPath.checkpointType({ ...path, kind: "weights" }), "training")
    assert.strictEqual(TinkerPath.checkpointType({ ...path, kind: "sampler_weights" }), "sampler")
  })

  it.each([
    ["a", true],
    ["step-000_1.final", true],
    ["x".repeat(255), true],
    ["x".repeat(256), false],
    ["", false],
    [".hidden", false],
    ["a/b", false],
    ["ä", false]
  ])("checks whether every server accepts the checkpoint name %s", (name, expected) => {
    assert.strictEqual(TinkerPath.isCheckpointName(name), expected)
  })

  it("is read from a string of a request, and written as one", () => {
    const read = Schema.decodeUnknownEither(TinkerPath.TinkerPathFromString)
    const path = "tinker://r/weights/a"
    assert.deepStrictEqual(read(path), Either.right({ training_run_id: "r", kind: "weights" as const, name: "a" }))
    assert.strictEqual(Schema.encodeSync(TinkerPath.TinkerPathFromString)(Either.getOrThrow(read(path))), path)
    assert.include(String(read("r/a")), "is not a path: give tinker://")
  })
})
