/**
 * Plots of curves: SVG for files, braille characters for terminals.
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
export interface Series {
  readonly name: string
  /** in any unit, in ascending order */
  readonly x: ReadonlyArray<number>
  /** of the same length; values that are not finite, or beyond 1e100, are omitted */
  readonly y: ReadonlyArray<number>
}

interface Point {
  readonly x: number
  readonly y: number
}

// differences of larger numbers overflow
const isDrawable = (value: number | undefined): value is number => value !== undefined && Math.abs(value) < 1e100

const pointsOf = ({ x, y }: Series): ReadonlyArray<Point> =>
  x.flatMap((at, i) => {
    const value = y[i]
    return isDrawable(at) && isDrawable(value) ? [{ x: at, y: value }] : []
  })

/** The smallest and the largest value, widened if they are equal. */
const extent = (values: ReadonlyArray<number>): readonly [low: number, high: number] => {
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const value of values) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  if (low > high) return [0, 1]
  // a flat line is drawn in the middle
  const half = Math.max(0.5, Math.abs(low) / 100)
  return high - low < half * 1e-12 ? [low - half, high + half] : [low, high]
}

/** Round values in a range, at most `count + 1`. */
const ticks = ([low, high]: readonly [number, number], count: number): ReadonlyArray<number> => {
  const rough = (high - low) / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10)
  const first = Math.ceil(low / step)
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step)
}

const label = (value: number): string => String(Number(value.toPrecision(4)))

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")

const colors = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd"]

/**
 * Plots curves over a common x axis. Returns the text of an SVG file.
 *
 * @since 0.1.0
 * @category conversions
 */
export const svg = (
  series: ReadonlyArray<Series>,
  options: { readonly title: string; readonly xLabel: string; readonly yLabel: string }
): string => {
  const [width, height, left, right, top, bottom] = [720, 400, 64, 16, 40, 48]
  const all = series.map(pointsOf)
  const [x0, x1] = extent(all.flatMap((points) => points.map(({ x }) => x)))
  const [y0, y1] = extent(all.flatMap((points) => points.map(({ y }) => y)))
  const px = (x: number) => (left + ((x - x0) / (x1 - x0)) * (width - left - right)).toFixed(1)
  const py = (y: number) => (height - bottom - ((y - y0) / (y1 - y0)) * (height - top - bottom)).toFixed(1)
  const text = (x: number | string, y: number | string, anchor: string, content: string, more = "") =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}"${more}>${escape(content)}</text>`
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    text(width / 2, 22, "middle", options.title, ' font-size="15"'),
    ...ticks([y0, y1], 5).flatMap((y) => [
      `<line x1="${left}" x2="${width - right}" y1="${py(y)}" y2="${py(y)}" stroke="#ddd"/>`,
      text(left - 6, Number(py(y)) + 4, "end", label(y))
    ]),
    ...ticks([x0, x1], 6).map((x) => text(px(x), height - bottom + 18, "middle", label(x))),
    text(width / 2, height - 10, "middle", options.xLabel),
    text(16, height / 2, "middle", options.yLabel, ` transform="rotate(-90 16 ${height / 2})"`),
    ...all.flatMap((points, i) => {
      const color = colors[i % colors.length]
      const path = points.map(({ x, y }) => `${px(x)},${py(y)}`).join(" ")
      return [
        points.length === 1
          ? `<circle cx="${px(points[0]!.x)}" cy="${py(points[0]!.y)}" r="3" fill="${color}"/>`
          : `<polyline fill="none" stroke="${color}" stroke-width="1.5" points="${path}"/>`,
        text(width - right - 4, top + 14 + i * 16, "end", series[i]!.name, ` fill="${color}"`)
      ]
    }),
    "</svg>"
  ]
  return `${lines.join("\n")}\n`
}

const braille = 0x2800
// the bits of the dots of a braille character, by column and row
const dots = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80]
] as const

/**
 * Plots one curve as lines of text of at most `columns` characters, with the range of y at the left and that of x below.
 *
 * @since 0.1.0
 * @category conversions
 */
export const terminal = (
  series: Series,
  options: { readonly columns: number; readonly rows?: number | undefined; readonly xLabel?: string | undefined }
): string => {
  const rows = Math.max(2, options.rows ?? 10)
  const points = pointsOf(series)
  const [x0, x1] = extent(points.map(({ x }) => x))
  const [y0, y1] = extent(points.map(({ y }) => y))
  const labels = Array.from({ length: rows }, (_, row) =>
    row === 0 ? label(y1) : row === rows - 1 ? label(y0) : row === rows >> 1 ? label((y0 + y1) / 2) : ""
  )
  const margin = Math.max(...labels.map((text) => text.length))
  const width = Math.max(2, options.columns - margin - 3)
  const cells = Array.from({ length: rows }, () => new Uint8Array(width))
  const place = ({ x, y }: Point) => ({
    column: Math.round(((x - x0) / (x1 - x0)) * (width * 2 - 1)),
    row: Math.round(((y1 - y) / (y1 - y0)) * (rows * 4 - 1))
  })
  const set = (column: number, row: number) => {
    cells[row >> 2]![column >> 1]! |= dots[(column & 1) as 0 | 1][(row & 3) as 0 | 1 | 2 | 3]
  }
  points.map(place).forEach(({ column, row }, i, placed) => {
    const before = placed[i - 1] ?? { column, row }
    const steps = Math.max(1, Math.abs(column - before.column), Math.abs(row - before.row))
    for (let step = 0; step <= steps; step++) {
      const part = step / steps
      set(
        Math.round(before.column + (column - before.column) * part),
        Math.round(before.row + (row - before.row) * part)
      )
    }
  })
  const [first, last] = points.length === 0 ? ["", ""] : [label(points[0]!.x), label(points.at(-1)!.x)]
  const middle = options.xLabel ?? ""
  const space = width - first.length - last.length
  const spaces = " ".repeat(Math.max(0, (space - middle.length) >> 1))
  const between = middle.length + 2 <= space ? spaces + middle : ""
  const below = `${first}${between.padEnd(Math.max(1, space))}${last}`.slice(0, width)
  return [
    ...cells.map((line, row) => {
      const curve = Array.from(line, (bits) => (bits === 0 ? " " : String.fromCodePoint(braille + bits))).join("")
      return `${labels[row]!.padStart(margin)} ┤${curve}`.trimEnd()
    }),
    `${" ".repeat(margin)} └${"─".repeat(width)}`,
    `${" ".repeat(margin + 2)}${below}`
  ].join("\n")
}
