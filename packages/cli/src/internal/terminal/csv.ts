/** CSV as Python writes it. */

/** A value as Python's `csv` module writes it. */
const cell = (value: unknown): string => {
  if (value === null || value === undefined) return ""
  const text = value === true ? "True" : value === false ? "False" : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** The keys of all rows, in the order in which they first appear. @internal */
export const columnsOf = (rows: ReadonlyArray<{ readonly [column: string]: unknown }>): ReadonlyArray<string> =>
  Array.from(new Set(rows.flatMap((row) => Object.keys(row))))

/** Rows with a header. Lines end in CRLF, as in RFC 4180. @internal */
export const write = (rows: ReadonlyArray<{ readonly [column: string]: unknown }>): string => {
  const columns = columnsOf(rows)
  return [columns, ...rows.map((row) => columns.map((column) => row[column]))]
    .map((line) => `${line.map(cell).join(",")}\r\n`)
    .join("")
}
