/** What a report shows of a run, as the page reads it. */

/** A span of a step, in seconds. */
export interface Span {
  readonly name: string
  readonly duration: number
  readonly wall_start: number
  readonly wall_end: number
}

/**
 * A text that the model wrote during a run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Sample {
  /** the number of steps that were done */
  readonly step: number
  readonly prompt?: string | undefined
  readonly text: string
}

/**
 * A run as its directory describes it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Run {
  readonly name: string
  /** rows of `metrics.jsonl` by column, in the order of their steps; `null` where a row has no such number */
  readonly table: {
    readonly step: ReadonlyArray<number>
    readonly columns: { readonly [name: string]: ReadonlyArray<number | null> }
  }
  /** one row in this many is in `table`; rows with an evaluation are there too */
  readonly every: number
  /** tokens of all rows */
  readonly tokens: number
  /** seconds of all rows */
  readonly seconds: number
  readonly timings: ReadonlyArray<{ readonly step: number; readonly spans: ReadonlyArray<Span> }>
  readonly samples: ReadonlyArray<Sample>
  readonly checkpoints: ReadonlyArray<{ readonly [key: string]: unknown }>
  /** `config.json` and `data.json`; `null` without one */
  readonly config: unknown
  readonly data: unknown
  /** what a reader should know: lines that could not be read, for example */
  readonly notes: ReadonlyArray<string>
}
