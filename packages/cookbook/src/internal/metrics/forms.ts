/** How rows look to a person: a table with a progress bar on a terminal, and lines elsewhere. */
import type { Row } from "./row.ts"

/** Where text is written, usually standard error. @internal */
export interface Output {
  readonly write: (text: string) => void
  readonly isTerminal: boolean
  /** width of the terminal, 80 by default */
  readonly columns?: number | undefined
}

/** What is known of a run after a row. @internal */
export interface Progress {
  readonly done: number
  readonly steps: number
  readonly tokensPerSecond: number
  readonly secondsLeft: number
}

const barWidth = 24

/** The number of lines to write for a run, besides those with an evaluation. */
const linesPerRun = 16

const own = /^(time|tokens|cost)\/|^(step|epoch|progress|learning_rate|num_|writer|grad_norm)/

/** Names of rows come from services and programs, and a terminal would obey what is hidden in them. */
const clean = (text: string): string => text.replace(/[^\x20-\x7e\u00a1-\uffff]/g, "")

const clockTime = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.round(seconds) % 60).padStart(2, "0")}`

const number = (value: Row[string] | undefined): string =>
  typeof value !== "number"
    ? "not known"
    : Math.abs(value) >= 1e-3 || value === 0
      ? value.toFixed(4)
      : value.toExponential(1)

/** The names of a row that a person wants to see: the loss of the step, and what was evaluated. */
const shownNames = (row: Row): ReadonlyArray<string> => {
  const names = Object.keys(row).filter(
    (name) => !own.test(name) && !/:|^train_/.test(name) && typeof row[name] !== "string"
  )
  const evaluated = names.filter((name) => name.includes("/"))
  const main = ["train_mean_nll", "train_mean_bpb"].filter((name) => name in row)
  return [...main, ...evaluated]
}

const isEvaluation = (row: Row): boolean => shownNames(row).some((name) => !name.startsWith("train_"))

const label = (name: string): string =>
  name === "train_mean_nll" ? "loss" : name === "train_mean_bpb" ? "bpb" : clean(name)

const cells = (row: Row): ReadonlyArray<readonly [name: string, value: string]> =>
  shownNames(row).map((name) => [label(name), number(row[name])])

/** The row in one line. @internal */
export const describe = (row: Row, { done, secondsLeft, steps, tokensPerSecond }: Progress): string =>
  [
    `step ${String(done).padStart(String(steps).length)}/${steps}`,
    ...cells(row).map(([name, value]) => `${name} ${value}`),
    ...(tokensPerSecond > 0 ? [`${tokensPerSecond} tokens/s`] : []),
    `${clockTime(secondsLeft)} left`
  ].join("  ")

/** Whether a row is worth a line of its own that stays. @internal */
export const isKept = (row: Row, { done, steps }: Progress): boolean =>
  done === 1 || done >= steps || done % Math.max(1, Math.round(steps / linesPerRun)) === 0 || isEvaluation(row)

/** The columns of the table: those of the row before, and new ones behind them. @internal */
export const columnsOf = (row: Row, before: ReadonlyArray<string>): ReadonlyArray<string> => {
  const added = cells(row)
    .map(([name]) => name)
    .filter((name) => !before.includes(name))
  return added.length === 0 ? before : [...before, ...added]
}

const width = (name: string): number => Math.max(9, name.length)

/** @internal */
export const headerLine = (columns: ReadonlyArray<string>): string =>
  ["step".padStart(8), ...columns.map((name) => name.padStart(width(name)))].join("  ")

/** @internal */
export const tableLine = (row: Row, columns: ReadonlyArray<string>, { done }: Progress): string => {
  const values = new Map(cells(row))
  return [String(done).padStart(8), ...columns.map((name) => (values.get(name) ?? "").padStart(width(name)))]
    .join("  ")
    .trimEnd()
}

/** The bar and the row. On a narrow terminal the bar is shorter, and then the text. @internal */
export const barLine = (columns: number | undefined, row: Row, progress: Progress): string => {
  // a terminal of unknown width reports 0
  const limit = columns === undefined || columns <= 0 ? 80 : columns
  const text = describe(row, progress)
  const size = Math.max(0, Math.min(barWidth, limit - 2 - text.length))
  const full = Math.min(size, Math.round((progress.done / progress.steps) * size))
  const bar = size === 0 ? "" : `${"█".repeat(full)}${"░".repeat(size - full)} `
  return `${bar}${text}`.slice(0, Math.max(1, limit - 1))
}
