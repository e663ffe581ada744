import { assert, describe, it } from "@effect/vitest"
import * as csv from "../../../src/internal/terminal/csv.ts"

describe("csv", () => {
  it("has the columns of all rows, in the order of their first appearance", () => {
    assert.deepStrictEqual(
      csv.columnsOf([
        { a: 1, b: 2 },
        { c: 3, a: 4 }
      ]),
      ["a", "b", "c"]
    )
  })

  it("writes cells as Python does, and quotes them where necessary", () => {
    assert.strictEqual(
      csv.write([{ text: 'a "quoted", one', flag: true, none: null, line: "a\nb" }, { flag: false }]),
      'text,flag,none,line\r\n"a ""quoted"", one",True,,"a\nb"\r\n,False,,\r\n'
    )
  })
})
