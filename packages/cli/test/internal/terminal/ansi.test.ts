import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as ansi from "../../../src/internal/terminal/ansi.ts"

describe("ansi", () => {
  it("strips escape sequences", () => {
    assert.strictEqual(ansi.strip("\u001b[1;96mtinker\u001b[0m run"), "tinker run")
  })

  it("wraps lines between words, with the indentation of the line", () => {
    assert.strictEqual(ansi.wrap("  one two three four five", 20), "  one two three four\n  five")
  })

  it("never exceeds the width, and keeps all characters but spaces", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.stringMatching(/^[a-z]{1,30}$/), { minLength: 1 }),
        FastCheck.integer({ min: 20, max: 60 }),
        (words, columns) => {
          const wrapped = ansi.wrap(words.join(" "), columns)
          for (const line of wrapped.split("\n")) assert.isAtMost(line.length, columns)
          assert.strictEqual(wrapped.replace(/\s/g, ""), words.join(""))
        }
      )
    )
  })
})
