/** Rows of metrics by column, in bounded memory however long the run is. */
import type { Run } from "./run.ts"
import { Thinned } from "./thinned.ts"

/** More points than a chart has pixels. */
const maxRows = 5_000

/** More names than a person reads. Those beyond are counted. */
const maxColumns = 200

interface Row {
  readonly [name: string]: unknown
}

const isEvaluation = (name: string): boolean => name.includes("/") && !/^(time|tokens|cost)\//.test(name)

const numberOf = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0)

/** @internal */
export class TableBuilder {
  readonly #rows = new Thinned<Row>(maxRows)
  readonly #evaluated = new Thinned<Row>(maxRows)
  #last: Row | undefined
  #tokens = 0
  #seconds = 0

  add(row: Row): void {
    this.#last = row
    this.#tokens += numberOf(row["num_tokens"])
    this.#seconds += numberOf(row["time/total"])
    this.#rows.add(row)
    if (Object.keys(row).some(isEvaluation)) this.#evaluated.add(row)
  }

  /** The rows that are kept, each step once, and the names of their numbers. */
  build(): Pick<Run, "table" | "every" | "tokens" | "seconds"> & { readonly omittedColumns: number } {
    const byStep = new Map<number, Row>()
    const kept = [...this.#rows.values, ...this.#evaluated.values, ...(this.#last === undefined ? [] : [this.#last])]
    // two rows of one step are one: a program may log an evaluation by itself
    for (const row of kept) byStep.set(numberOf(row["step"]), { ...byStep.get(numberOf(row["step"])), ...row })
    const rows = [...byStep].sort(([a], [b]) => a - b)
    const names = new Set(rows.flatMap(([, row]) => Object.keys(row).filter((name) => typeof row[name] === "number")))
    names.delete("step")
    const shown = [...names].slice(0, maxColumns)
    const column = (name: string) =>
      rows.map(([, { [name]: value }]) => (typeof value === "number" && Number.isFinite(value) ? value : null))
    return {
      table: {
        step: rows.map(([step]) => step),
        columns: Object.fromEntries(shown.map((name) => [name, column(name)]))
      },
      every: this.#rows.every,
      tokens: this.#tokens,
      seconds: this.#seconds,
      omittedColumns: names.size - shown.length
    }
  }
}
