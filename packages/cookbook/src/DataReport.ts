/**
 * What there is to know about the data of a run before it starts: records, formats, what was left out and why, and how
 * many tokens there are. It is a value, which programs print, and which a run keeps in `data.json`.
 *
 * @since 0.1.0
 */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Datum from "@effect-tinker/api/Datum"
import type { Summary } from "./Dataset.ts"
import type { Counts } from "./SupervisedExample.ts"

/**
 * The lengths of datums, in tokens.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lengths {
  readonly datums: number
  readonly tokens: number
  /** the sum of all weights, which is the number of trained tokens if weights are 0 and 1 */
  readonly weight: number
  /** tokens whose weight is not 0 */
  readonly trained: number
  readonly min: number
  readonly median: number
  readonly p95: number
  readonly max: number
  /** how many datums have up to so many tokens, and more than the entry before; the bounds are powers of 2 */
  readonly histogram: ReadonlyArray<{ readonly upTo: number; readonly datums: number }>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface DataReport {
  /** what was found in each file */
  readonly files: ReadonlyArray<Omit<Summary, "errors"> & { readonly errors: ReadonlyArray<string> }>
  /** records that train */
  readonly training: number
  /** records that are held out */
  readonly heldOut: number
  /** records that are left out of training, because they are the same as one that is held out */
  readonly overlap: number
  /** what became of the examples of the training records; undefined before they have been made */
  readonly examples: Counts | undefined
  readonly lengths: Lengths | undefined
}

/**
 * Collects the lengths of datums one by one, in four bytes each.
 *
 * @since 0.1.0
 * @category models
 */
export interface Collector {
  readonly add: (datum: Datum.Supervised) => void
  readonly lengths: () => Lengths
  /** the tokens of each datum, in the order in which they were added */
  readonly each: () => Uint32Array
}

const quantile = (sorted: Uint32Array, fraction: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? 0

/** Counts of lengths between powers of 2, from the one of the shortest to that of the longest. */
const histogramOf = (sorted: Uint32Array): Lengths["histogram"] => {
  const found: Array<{ readonly upTo: number; datums: number }> = []
  for (const length of sorted) {
    const last = found.at(-1)
    if (last !== undefined && length <= last.upTo) {
      last.datums++
      continue
    }
    for (let upTo = last === undefined ? 2 ** Math.ceil(Math.log2(Math.max(1, length))) : last.upTo * 2; ; upTo *= 2) {
      const isHere = length <= upTo
      found.push({ upTo, datums: isHere ? 1 : 0 })
      if (isHere) break
    }
  }
  return found
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const collector = (): Collector => {
  let lengths = new Uint32Array(1024)
  let [count, tokens, weight, trained] = [0, 0, 0, 0]
  const each = (): Uint32Array => lengths.slice(0, count)
  return {
    each,
    add: ({ loss_fn_inputs: { weights }, model_input }) => {
      if (count === lengths.length) {
        const before = lengths
        lengths = new Uint32Array(count * 2)
        lengths.set(before)
      }
      const length = ModelInput.length(model_input)
      lengths[count++] = length
      tokens += length
      for (const value of weights.data) {
        weight += Number(value)
        if (Number(value) !== 0) trained++
      }
    },
    lengths: () => {
      const sorted = each().sort()
      return {
        datums: count,
        tokens,
        weight,
        trained,
        min: sorted[0] ?? 0,
        median: quantile(sorted, 0.5),
        p95: quantile(sorted, 0.95),
        max: sorted[sorted.length - 1] ?? 0,
        histogram: histogramOf(sorted)
      }
    }
  }
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (parts: {
  readonly files: ReadonlyArray<Summary>
  readonly training: number
  readonly heldOut?: number | undefined
  readonly overlap?: number | undefined
  readonly examples?: Counts | undefined
  readonly lengths?: Lengths | undefined
}): DataReport => ({
  files: parts.files.map((file) => ({ ...file, errors: file.errors.map(({ message }) => message) })),
  training: parts.training,
  heldOut: parts.heldOut ?? 0,
  overlap: parts.overlap ?? 0,
  examples: parts.examples,
  lengths: parts.lengths
})

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((all, each) => all + each, 0)

const formatsOf = (report: DataReport): string => {
  const counts = new Map<string, number>()
  for (const { formats } of report.files) {
    for (const [format, count] of Object.entries(formats)) counts.set(format, (counts.get(format) ?? 0) + count)
  }
  return Array.from(counts, ([format, count]) => (counts.size === 1 ? format : `${count} ${format}`)).join(", ")
}

/** Rows of what is not 0. */
const ifAny = (rows: ReadonlyArray<readonly [string, number]>): ReadonlyArray<readonly [string, string]> =>
  rows.flatMap(([name, count]) => (count === 0 ? [] : [[name, String(count)] as const]))

const lengthRows = (lengths: Lengths | undefined): ReadonlyArray<readonly [string, string]> =>
  lengths === undefined
    ? []
    : [
        ["Datums", String(lengths.datums)],
        ["Tokens", `${lengths.tokens}, of which ${lengths.trained} are trained`],
        ["Tokens of a datum", `${lengths.min} to ${lengths.max}, median ${lengths.median}, 95 % below ${lengths.p95}`]
      ]

/**
 * The report as rows of a table, without what is 0.
 *
 * @since 0.1.0
 * @category conversions
 */
export const rows = (report: DataReport): ReadonlyArray<readonly [name: string, value: string]> => [
  ["Records", String(sum(report.files.map(({ records }) => records)))],
  ["Format", formatsOf(report)],
  ...ifAny([
    ["Not valid, left out", sum(report.files.map(({ bad }) => bad))],
    ["Duplicates", sum(report.files.map(({ duplicates }) => duplicates))]
  ]),
  ["Training records", String(report.training)],
  ...ifAny([
    ["Held out", report.heldOut],
    ["Same as held out, left out", report.overlap],
    ["Truncated", report.examples?.truncated ?? 0],
    ["Too long, skipped", report.examples?.skipped ?? 0],
    ["Nothing to train", report.examples?.untrained ?? 0],
    ["Emptied by truncation", report.examples?.emptied ?? 0]
  ]),
  ...lengthRows(report.lengths)
]
