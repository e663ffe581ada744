import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as FastCheck from "fast-check"
import * as table from "../../../src/internal/terminal/table.ts"

const sample: table.Table = {
  title: "2 runs",
  columns: ["Run ID", "Base Model"],
  rows: [
    ["run-1", "Qwen/Qwen3-8B"],
    ["run-22", "日本"]
  ]
}

describe("a table", () => {
  it("aligns columns that contain wide characters", () => {
    assert.strictEqual(
      table.render(sample, { columns: undefined, color: false }),
      [
        "          2 runs",
        "┏━━━━━━━━┳━━━━━━━━━━━━━━━┓",
        "┃ Run ID ┃ Base Model    ┃",
        "┡━━━━━━━━╇━━━━━━━━━━━━━━━┩",
        "│ run-1  │ Qwen/Qwen3-8B │",
        "│ run-22 │ 日本          │",
        "└────────┴───────────────┘"
      ].join("\n")
    )
  })

  it("wraps all columns but the first on a narrow terminal, and becomes a list of records on a narrower one", () => {
    assert.include(
      table.render(sample, { columns: 22, color: false }),
      ["│ run-1  │ Qwen/Qwen │", "│        │ 3-8B      │"].join("\n")
    )
    assert.strictEqual(
      table.render({ ...sample, title: undefined }, { columns: 18, color: false }),
      "Run ID:\n  run-1\nBase Model:\n  Qwen/Qwen3-8B\n\nRun ID:\n  run-22\nBase Model:\n  日本"
    )
  })

  it("never breaks a path, so that it can be copied", () => {
    const path = "tinker://0f3b1c2d-1234-5678-9abc-def012345678:train:0/sampler_weights/final"
    const withPath = {
      columns: ["Property", "Value"],
      rows: [
        ["State", path],
        ["Note", "some words that may wrap"]
      ]
    }
    for (const columns of [100, 80, 60, 30]) {
      assert.include(table.render(withPath, { columns, color: false }), path, String(columns))
    }
    const file = { columns: ["A", "B"], rows: [["x", `./tinker-data/${"d".repeat(40)}/report.html`]] }
    assert.include(table.render(file, { columns: 40, color: false }), file.rows[0]![1]!)
  })

  it("never exceeds the width, and contains no control characters", () => {
    const cell = Arbitrary.make(Schema.String)
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.tuple(cell, cell, cell), { maxLength: 4 }),
        FastCheck.integer({ min: 20, max: 120 }),
        (rows, columns) => {
          const text = table.render(
            { title: "a title of some length", columns: ["a", "b", "c"], rows },
            { columns, color: false }
          )
          for (const line of text.split("\n")) {
            assert.isAtMost(table.widthOf(line), columns)
            assert.notMatch(line, /\p{Control}/u)
          }
        }
      )
    )
  })
})
