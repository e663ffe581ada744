/** CSV for spreadsheets, or exactly as Python writes it. */

/** A value as Python's `csv` module shows it. */
const show = (value: unknown): string =>
  value === null || value === undefined ? "" : value === true ? "True" : value === false ? "False" : String(value)

const quote = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

// the full-width forms too: some spreadsheets take them for the ASCII characters
const isFormula = (text: string): boolean => /^[=+\-@\t\r\n＝＋－＠]/.test(text)
const isNumber = (text: string): boolean => /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text)

/**
 * A text that a spreadsheet shows and never runs: one that begins like a formula gets a `'` in front, which spreadsheets
 * read as "this is text". Numbers stay numbers.
 */
const escapeFormula = (text: string): string => (isFormula(text) && !isNumber(text) ? `'${text}` : text)

/** The keys of all rows, in the order in which they first appear. @internal */
export const columnsOf = (rows: ReadonlyArray<{ readonly [column: string]: unknown }>): ReadonlyArray<string> =>
  Array.from(new Set(rows.flatMap((row) => Object.keys(row))))

/**
 * Rows with a header. Lines end in CRLF, as in RFC 4180. Cells that a spreadsheet would run as a formula are escaped, in
 * the header too, unless `raw` is set.
 *
 * @internal
 */
export const write = (
  rows: ReadonlyArray<{ readonly [column: string]: unknown }>,
  options: { readonly raw: boolean }
): string => {
  const columns = columnsOf(rows)
  const cell = (value: unknown) => quote(options.raw ? show(value) : escapeFormula(show(value)))
  return [columns, ...rows.map((row) => columns.map((column) => row[column]))]
    .map((line) => `${line.map(cell).join(",")}\r\n`)
    .join("")
}
