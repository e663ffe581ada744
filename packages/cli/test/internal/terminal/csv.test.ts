import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as csv from "../../../src/internal/terminal/csv.ts"

/** Reads CSV as RFC 4180 has it, and so as a spreadsheet does. */
const parse = (text: string): ReadonlyArray<ReadonlyArray<string>> => {
  const rows: Array<Array<string>> = []
  let row: Array<string> = []
  const cells = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy
  for (const [, quoted, plain, end] of text.matchAll(cells)) {
    row.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'))
    if (end === ",") continue
    rows.push(row)
    row = []
  }
  return rows
}

/** Texts that often begin like a formula, a number or a quoted cell. */
const Cell = FastCheck.tuple(
  FastCheck.constantFrom("", "=", "+", "-", "@", "\t", "\r", "\n", "＝", "'", '"', ",", "-1", " "),
  FastCheck.oneof(
    FastCheck.fullUnicodeString(),
    FastCheck.constantFrom("1+1", "SUM(A1)", "2", '"', "cmd|' /C calc'!A0")
  )
).map(([first, rest]) => first + rest)

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
    for (const raw of [true, false]) {
      assert.strictEqual(
        csv.write([{ text: 'a "quoted", one', flag: true, none: null, line: "a\nb" }, { flag: false }], { raw }),
        'text,flag,none,line\r\n"a ""quoted"", one",True,,"a\nb"\r\n,False,,\r\n'
      )
    }
  })

  it("escapes texts and column names that a spreadsheet would run, and leaves them alone if raw", () => {
    const rows = [{ "=name": '=HYPERLINK("http://x.test")', plus: "+1", minus: "-A1", at: "@SUM(A1)", tab: "\t=1" }]
    assert.strictEqual(
      csv.write(rows, { raw: false }),
      `'=name,plus,minus,at,tab\r\n"'=HYPERLINK(""http://x.test"")",'+1,'-A1,'@SUM(A1),'\t=1\r\n`
    )
    assert.strictEqual(
      csv.write(rows, { raw: true }),
      '=name,plus,minus,at,tab\r\n"=HYPERLINK(""http://x.test"")",+1,-A1,@SUM(A1),\t=1\r\n'
    )
  })

  it("leaves negative numbers numbers", () => {
    assert.strictEqual(
      csv.write([{ a: -1, b: -0.5, c: -1e-7, d: "-12.25", e: -3n }], { raw: false }),
      "a,b,c,d,e\r\n-1,-0.5,-1e-7,-12.25,-3\r\n"
    )
  })

  it("never writes a cell that a spreadsheet would run, and loses no text", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.array(Cell, { minLength: 2, maxLength: 2 })), (texts) => {
        const rows = texts.map(([a, b]) => ({ a, b }))
        const cells = parse(csv.write(rows, { raw: false }))
          .slice(1)
          .flat()
        assert.strictEqual(cells.length, texts.flat().length)
        for (const [i, text] of texts.flat().entries()) {
          assert.isTrue(cells[i] === text || cells[i] === `'${text}`)
          assert.isTrue(
            /^[^=+\-@\t\r\n＝＋－＠]/.test(cells[i]!) || cells[i] === "" || Number.isFinite(Number(cells[i]))
          )
        }
      })
    )
  })

  it("writes what Python's csv module reads as the same texts if raw", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.array(Cell, { minLength: 2, maxLength: 2 })), (texts) => {
        const rows = texts.map(([a, b]) => ({ a, b }))
        assert.deepStrictEqual(parse(csv.write(rows, { raw: true })).slice(1), texts)
      })
    )
  })
})
