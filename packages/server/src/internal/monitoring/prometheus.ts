/** Writes the metrics of this package in the text format of Prometheus. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"
import * as metrics from "./metrics.ts"

/** @internal */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

type Pair = MetricPair.MetricPair.Untyped

const escapeLabel = (text: string): string =>
  text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")

const labelsOf = (labels: ReadonlyArray<readonly [name: string, value: string]>): string =>
  labels.length === 0 ? "" : `{${labels.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(",")}}`

const isCounter = ({ metricState }: Pair): boolean => MetricState.isCounterState(metricState)

/** The name of a metric, with the suffix that Prometheus wants of counters. */
const nameOf = (pair: Pair): string =>
  `${pair.metricKey.name.replace(/[^a-zA-Z0-9_]/g, "_")}${isCounter(pair) ? "_total" : ""}`

const typeOf = ({ metricState }: Pair): string =>
  MetricState.isHistogramState(metricState) ? "histogram" : isCounter({ metricState } as Pair) ? "counter" : "gauge"

const histogramLines = (
  name: string,
  labels: ReadonlyArray<readonly [string, string]>,
  { buckets, count, sum }: MetricState.MetricState.Histogram
): ReadonlyArray<string> => [
  ...Array.from(buckets)
    .filter(([limit]) => Number.isFinite(limit) && limit < Number.MAX_VALUE)
    .map(([limit, within]) => `${name}_bucket${labelsOf([...labels, ["le", String(limit)]])} ${within}`),
  `${name}_bucket${labelsOf([...labels, ["le", "+Inf"]])} ${count}`,
  `${name}_sum${labelsOf(labels)} ${sum}`,
  `${name}_count${labelsOf(labels)} ${count}`
]

const valueLines = (pair: Pair): ReadonlyArray<string> => {
  const name = nameOf(pair)
  const labels = pair.metricKey.tags
    .filter(({ key }) => key !== metrics.unitLabel)
    .map(({ key, value }) => [key, value] as const)
  const { metricState } = pair
  if (MetricState.isHistogramState(metricState)) return histogramLines(name, labels, metricState)
  if (MetricState.isCounterState(metricState)) return [`${name}${labelsOf(labels)} ${metricState.count}`]
  if (MetricState.isGaugeState(metricState)) return [`${name}${labelsOf(labels)} ${metricState.value}`]
  return []
}

/** All series of one metric, below its description. */
const familyLines = (pairs: ReadonlyArray<Pair>): ReadonlyArray<string> => {
  const name = nameOf(pairs[0]!)
  const description = Option.getOrElse(pairs[0]!.metricKey.description, () => "")
  return [
    `# HELP ${name} ${description.replaceAll("\n", " ")}`,
    `# TYPE ${name} ${typeOf(pairs[0]!)}`,
    ...pairs.flatMap(valueLines)
  ]
}

/** The metrics of this package. Those of other packages in the process, and of the program, are left out. @internal */
export const render: Effect.Effect<string> = Effect.map(Metric.snapshot, (pairs) => {
  const families = new Map<string, Array<Pair>>()
  for (const pair of pairs) {
    if (!pair.metricKey.name.startsWith(metrics.prefix)) continue
    const family = families.get(pair.metricKey.name)
    if (family === undefined) families.set(pair.metricKey.name, [pair])
    else family.push(pair)
  }
  const lines = Array.from(families)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, family]) => familyLines(family))
  return lines.map((line) => `${line}\n`).join("")
})
