/** Tables of box-drawing characters, within the width of the terminal. */
import { clean } from "../text/clean.ts"

/** The width of a text in terminal columns: East Asian wide characters and emoji take two, combining marks none. @internal */
export const widthOf = (text: string): number => {
  let width = 0
  for (const char of text) {
    const code = char.codePointAt(0)!
    if (/\p{Mark}|\p{Format}|\p{Variation_Selector}/u.test(char)) continue
    const wide =
      (code >= 0x1100 && code <= 0x115f) ||
      (code >= 0x2e80 && code <= 0xa4cf) ||
      (code >= 0xac00 && code <= 0xd7a3) ||
      (code >= 0xf900 && code <= 0xfaff) ||
      (code >= 0xfe30 && code <= 0xfe6f) ||
      (code >= 0xff00 && code <= 0xff60) ||
      (code >= 0xffe0 && code <= 0xffe6) ||
      (code >= 0x1f300 && code <= 0x1faff) ||
      (code >= 0x20000 && code <= 0x3fffd)
    width += wide ? 2 : 1
  }
  return width
}

const pad = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - widthOf(text)))

/** Whether a word is a path or a URL, which is copied from a terminal and so never broken. */
const isPath = (word: string): boolean => /^(?:[a-z][a-z\d+.-]*:\/\/|\.{0,2}\/|~\/)/i.test(word)

/** Breaks a text into lines: between words, or within a word that is too long for a line, unless it is a path. */
const fold = (text: string, width: number): ReadonlyArray<string> => {
  const [indent] = /^ */.exec(text)!
  if (indent.length > 0 && indent.length < width / 2) {
    return fold(text.slice(indent.length), width - indent.length).map((line) => indent + line)
  }
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    const joined = line === "" ? word : `${line} ${word}`
    if (widthOf(joined) <= width) {
      line = joined
      continue
    }
    if (line !== "") lines.push(line)
    line = ""
    if (isPath(word)) {
      line = word
      continue
    }
    for (const char of word) {
      if (widthOf(line + char) > width) {
        lines.push(line)
        line = ""
      }
      line += char
    }
  }
  return [...lines, line]
}

/** @internal */
export interface Table {
  readonly title?: string | undefined
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
}

/** A wrapped column that is narrower than this is hard to read. */
const minimumWidth = 8

/** The width of the widest path in a column, which is the least that the column needs. */
const pathWidth = (cells: ReadonlyArray<string>): number =>
  Math.max(
    0,
    ...cells.flatMap((cell) =>
      cell
        .split(" ")
        .filter(isPath)
        .map((word) => widthOf(word) + /^ */.exec(cell)![0].length)
    )
  )

/** The width of each column, if the table fits without wrapping the first column; undefined if it does not. */
const layout = (
  natural: ReadonlyArray<number>,
  least: ReadonlyArray<number>,
  columns: number | undefined
): ReadonlyArray<number> | undefined => {
  const frame = natural.length * 3 + 1
  const widths = [...natural]
  const total = () => widths.reduce((a, b) => a + b, 0) + frame
  if (columns === undefined) return widths
  while (total() > columns) {
    // shrink the widest
    let widest = -1
    for (let i = 1; i < widths.length; i++) {
      if (widths[i]! > Math.max(minimumWidth, least[i]!) && (widest < 0 || widths[i]! > widths[widest]!)) widest = i
    }
    if (widest < 0) return undefined
    widths[widest]!--
  }
  return widths
}

const center = (text: string, width: number): string =>
  `${" ".repeat(Math.max(0, Math.floor((width - widthOf(text)) / 2)))}${text}`

/** One record per row, with one line per cell. */
const records = ({ columns, rows, title }: Table, width: number): string => {
  const label = Math.max(...columns.map(widthOf))
  const indent = label + 2 > width / 2 ? 2 : label + 2
  const blocks = rows.map((row) =>
    columns
      .map((column, i) => {
        const lines = fold(row[i]!, Math.max(minimumWidth, width - indent))
        return indent === 2
          ? [`${column}:`, ...lines.map((line) => `  ${line}`)].join("\n")
          : lines.map((line, j) => (j === 0 ? pad(`${column}:`, indent) : " ".repeat(indent)) + line).join("\n")
      })
      .join("\n")
  )
  return [...(title === undefined ? [] : [fold(title, width).join("\n")]), ...blocks].join("\n\n")
}

/**
 * Draws a table that is at most `columns` wide. Its first column is never wrapped. A table that does not fit becomes a
 * list of records.
 * @internal
 */
export const render = (
  table: Table,
  options: { readonly columns: number | undefined; readonly color: boolean }
): string => {
  const columns = table.columns.map((name) => clean(name))
  const rows = table.rows.map((row) => row.map((cell) => clean(cell)))
  const title = table.title === undefined ? undefined : clean(table.title)
  const natural = columns.map((column, i) => Math.max(widthOf(column), ...rows.map((row) => widthOf(row[i]!))))
  const least = columns.map((_, i) => pathWidth(rows.map((row) => row[i]!)))
  const widths = layout(natural, least, options.columns)
  if (widths === undefined) return records({ title, columns, rows }, options.columns!)
  const style = (text: string, code: string) => (options.color ? `\u001b[${code}m${text}\u001b[0m` : text)
  const rule = (left: string, line: string, middle: string, right: string) =>
    left + widths.map((width) => line.repeat(width + 2)).join(middle) + right
  const line = (cells: ReadonlyArray<string>, bar: string, decorate: (text: string, i: number) => string) => {
    const folded = cells.map((cell, i) => fold(cell, widths[i]!))
    const height = Math.max(...folded.map((lines) => lines.length))
    return Array.from(
      { length: height },
      (_, n) =>
        `${bar} ${folded.map((lines, i) => decorate(pad(lines[n] ?? "", widths[i]!), i)).join(` ${bar} `)} ${bar}`
    ).join("\n")
  }
  const whole = widths.reduce((sum, width) => sum + width + 3, 1)
  return [
    ...(title === undefined
      ? []
      : fold(title, Math.max(whole, options.columns ?? 0, minimumWidth)).map((line) =>
          style(center(line, whole), "3")
        )),
    rule("┏", "━", "┳", "┓"),
    line(columns, "┃", (text) => style(text, "1")),
    rule("┡", "━", "╇", "┩"),
    ...rows.map((row) => line(row, "│", (text, i) => (i === 0 ? style(text, "96") : text))),
    rule("└", "─", "┴", "┘")
  ].join("\n")
}
