/** The format of a figure, which benchmarks print and CI reads. */

/** The value that a figure is compared with, in the unit of the figure. */
export interface Baseline {
  readonly name: string
  readonly value: number
}

/** The line `figure NAME VALUE UNIT RATIO BASELINE`, separated by tabs; `-` without a baseline. */
export const figure = (name: string, value: number, unit: string, baseline?: Baseline | undefined): string =>
  [
    "figure",
    name,
    value.toPrecision(4),
    unit,
    baseline === undefined ? "-" : (value / baseline.value).toPrecision(3),
    baseline?.name ?? "-"
  ].join("\t")
