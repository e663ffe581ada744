/**
 * Curves in a terminal, drawn by simple-ascii-chart. Curves of a whole run with zoom are in its page: see `NodeReport`.
 *
 * @since 0.1.0
 */
import { plot } from "simple-ascii-chart"

/**
 * @since 0.1.0
 * @category models
 */
export interface Series {
  /** in any unit, in ascending order */
  readonly x: ReadonlyArray<number>
  /** of the same length; values that are not finite, or beyond 1e100, are omitted */
  readonly y: ReadonlyArray<number>
}

type Point = [x: number, y: number]

// differences of larger numbers overflow, and the library cannot tell smaller ones apart
const isDrawable = (value: number | undefined): value is number => value !== undefined && Math.abs(value) < 1e100

const pointsOf = ({ x, y }: Series): ReadonlyArray<Point> =>
  x.flatMap((at, i): ReadonlyArray<Point> => {
    const value = y[i]
    return isDrawable(at) && isDrawable(value) ? [[at, value]] : []
  })

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value / values.length, 0)

/** At most so many points: each the mean of neighbours, but the first and the last as they are. */
const thin = (points: ReadonlyArray<Point>, most: number): ReadonlyArray<Point> => {
  if (points.length <= most) return points
  const size = points.length / most
  const groups = Array.from({ length: most }, (_, i) => points.slice(Math.floor(i * size), Math.floor((i + 1) * size)))
  const means = groups.map((group): Point => [mean(group.map(([x]) => x)), mean(group.map(([, y]) => y))])
  return [points[0]!, ...means.slice(1, -1), points.at(-1)!]
}

const label = (value: number): string => String(Number(value.toPrecision(4)))

/** Characters beside the curve and the labels of the axis: the axis, its arrow, and the ends of the curve. */
const beside = 4

/**
 * A curve as lines of text of at most `columns` characters, with labels of both axes. With more points than characters, a
 * character stands for the mean of several. Empty without a point to draw.
 *
 * @since 0.1.0
 * @category conversions
 */
export const terminal = (
  series: Series,
  options: { readonly columns: number; readonly rows?: number | undefined; readonly xLabel?: string | undefined }
): string => {
  const all = pointsOf(series)
  if (all.length === 0) return ""
  const points = thin(all, Math.max(2, options.columns))
  const ys = points.map(([, y]) => y)
  const [low, high] = [Math.min(...ys), Math.max(...ys)]
  const yTicks = [...new Set([low, (low + high) / 2, high])]
  const margin = Math.max(...yTicks.map((tick) => label(tick).length))
  const width = Math.max(2, options.columns - margin - beside)
  const drawn = thin(points, width)
  const xTicks = [drawn[0]![0], drawn[drawn.length >> 1]![0], drawn.at(-1)![0]]
  const text = plot([...drawn], {
    width,
    height: Math.max(2, options.rows ?? 10),
    // of equal length, since the library leaves room for those of the points alone
    formatter: (value, { axis }) => (axis === "y" ? label(value).padStart(margin) : label(value)),
    customXAxisTicks: [...new Set(xTicks)],
    customYAxisTicks: yTicks,
    ...(options.xLabel === undefined ? {} : { xLabel: options.xLabel })
  })
  const lines = text.split("\n").map((line) => line.trimEnd())
  return lines.filter((line) => line.trim() !== "" && line.trim() !== "▲").join("\n")
}
