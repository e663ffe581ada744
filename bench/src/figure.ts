/** What a figure is compared with; `value` is in the figure's own unit. */
export interface Baseline {
  readonly name: string
  readonly value: number
}

/** The line `figure NAME VALUE UNIT RATIO BASELINE`, separated by tabs; `-` where there is nothing to compare with. */
export const figure = (name: string, value: number, unit: string, baseline?: Baseline | undefined): string =>
  [
    "figure",
    name,
    value.toPrecision(4),
    unit,
    baseline === undefined ? "-" : (value / baseline.value).toPrecision(3),
    baseline?.name ?? "-"
  ].join("\t")
