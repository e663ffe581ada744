import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Plot from "../src/Plot.ts"

const series = (y: ReadonlyArray<number>): Plot.Series => ({ x: y.map((_, i) => i + 1), y })

describe("Plot", () => {
  it("draws a curve from its first to its last point", () => {
    assert.strictEqual(
      Plot.terminal(series([4, 3, 2, 1]), { columns: 20, rows: 4, xLabel: "step" }),
      [
        "  4┤━━━┓",
        "2.5┤   ┗━━━┓",
        "   │       ┗━━━┓",
        "  1┤           ┗━",
        "   └┬───────┬───┬▶",
        "    1       3   4",
        "       step"
      ].join("\n")
    )
  })

  it("never exceeds its columns, whatever the values", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.double(), { maxLength: 300 }),
        FastCheck.integer({ min: 30, max: 100 }),
        (y, columns) => {
          const text = Plot.terminal(series(y), { columns, xLabel: "step" })
          for (const line of text.split("\n")) assert.isAtMost(line.length, columns)
          assert.notMatch(text, /NaN|Infinity|undefined/)
        }
      )
    )
  })

  it("draws a million points as the means of neighbours, and their ends", () => {
    const y = Array.from({ length: 1_000_000 }, (_, i) => 1_000_000 - i)
    const lines = Plot.terminal(series(y), { columns: 60 }).split("\n")
    assert.match(lines[0]!, /^1000000┤━/)
    assert.match(lines.at(-1)!, /^ +1 .*1000000$/)
  })

  it("draws nothing without a number", () => {
    assert.strictEqual(Plot.terminal(series([Number.NaN]), { columns: 60 }), "")
  })
})
