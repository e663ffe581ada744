import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Plot from "../src/Plot.ts"

const series = (y: ReadonlyArray<number>): Plot.Series => ({ name: "loss", x: y.map((_, i) => i + 1), y })

describe("Plot", () => {
  it("draws a curve from its first to its last point", () => {
    assert.strictEqual(
      Plot.terminal(series([4, 3, 2, 1]), { columns: 12, rows: 4, xLabel: "step" }),
      ["  4 ┤⠑⡄", "    ┤ ⠈⢢", "2.5 ┤   ⠣⡀", "  1 ┤    ⠘⢄", "    └──────", "     1    4"].join("\n")
    )
  })

  it("never exceeds its columns, whatever the values", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.double()),
        FastCheck.integer({ min: 30, max: 100 }),
        (y, columns) => {
          for (const line of Plot.terminal(series(y), { columns, xLabel: "step" }).split("\n")) {
            assert.isAtMost(line.length, columns)
          }
        }
      )
    )
  })

  it("writes valid SVG for any title and values", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.string(), FastCheck.array(FastCheck.double()), (title, y) => {
        const svg = Plot.svg([series(y)], { title, xLabel: "step", yLabel: "loss" })
        assert.match(svg, /^<svg [^>]*>\n[\s\S]*<\/svg>\n$/)
        assert.notInclude(svg, "NaN")
        assert.notInclude(svg, "Infinity")
        // the title is escaped
        assert.strictEqual(svg.split("<svg").length, 2)
      })
    )
  })
})
