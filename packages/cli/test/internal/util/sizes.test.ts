import { assert, describe, it } from "@effect/vitest"
import * as sizes from "../../../src/internal/util/sizes.ts"

describe("a size in bytes", () => {
  it("is a number with a unit, or without", () => {
    const cases = [
      ["1", 1],
      ["500MB", 5e8],
      ["1.5 GiB", 1.5 * 2 ** 30],
      [" 2tb ", 2e12],
      ["0", undefined],
      ["0.1", undefined],
      ["-1GB", undefined],
      ["1e9", undefined],
      ["Infinity", undefined],
      ["10 parsecs", undefined],
      ["", undefined],
      ["9".repeat(400), undefined]
    ] as const
    for (const [text, bytes] of cases) assert.strictEqual(sizes.parse(text), bytes, text)
  })
})
