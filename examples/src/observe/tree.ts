/** Draws the trace of a program as a tree, and lists metrics. */
import type { MetricInfo, Span } from "./receiver.ts"

const shown = [
  "gen_ai.operation.name",
  "gen_ai.usage.input_tokens",
  "gen_ai.usage.output_tokens",
  "gen_ai.response.finish_reasons",
  "tinker.outcome"
]

interface AnyValue {
  readonly stringValue?: string
  readonly intValue?: number | string
  readonly doubleValue?: number
  readonly boolValue?: boolean
  readonly arrayValue?: { readonly values: ReadonlyArray<AnyValue> }
}

const textOf = (value: AnyValue): string =>
  value.arrayValue === undefined
    ? String(value.stringValue ?? value.intValue ?? value.doubleValue ?? value.boolValue)
    : `[${value.arrayValue.values.map(textOf).join(",")}]`

const details = (span: Span): string => {
  const found = shown.flatMap((key) => {
    const attribute = span.attributes.find((other) => other.key === key)
    return attribute === undefined ? [] : [`${key}=${textOf(attribute.value as AnyValue)}`]
  })
  return found.length === 0 ? "" : `  ${found.join(" ")}`
}

const milliseconds = ({ endTimeUnixNano, startTimeUnixNano }: Span): string =>
  `${(Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e6).toFixed(1)} ms`

const byStart = (a: Span, b: Span): number => (BigInt(a.startTimeUnixNano) < BigInt(b.startTimeUnixNano) ? -1 : 1)

/** The trace whose root has this name, a span a line. Without `timed`, only what is the same in each run. */
export const draw = (spans: ReadonlyArray<Span>, root: string, timed: boolean): ReadonlyArray<string> => {
  const lines: Array<string> = []
  const add = (span: Span, indent: string): void => {
    lines.push(`${indent}${span.name}${timed ? `  ${milliseconds(span)}${details(span)}` : ""}`)
    const children = spans.filter((other) => other.parentSpanId === span.spanId)
    for (const child of children.toSorted(byStart)) add(child, `${indent}  `)
  }
  for (const span of spans) if (span.name === root) add(span, "")
  return lines
}

/** Spans of other traces than that of the root, by name and number. */
export const others = (spans: ReadonlyArray<Span>, root: string): ReadonlyArray<string> => {
  const trace = spans.find(({ name }) => name === root)?.traceId
  const counts = new Map<string, number>()
  for (const { name, traceId } of spans) if (traceId !== trace) counts.set(name, (counts.get(name) ?? 0) + 1)
  return Array.from(counts, ([name, count]) => `${name} (${count})`)
}

/** A metric a line: name, kind, unit. */
export const list = (metrics: Iterable<MetricInfo>): ReadonlyArray<string> =>
  Array.from(metrics, ({ kind, name, unit }) => `${name}  ${kind}  ${unit}`)
    .filter((line) => line.startsWith("tinker.") || line.startsWith("gen_ai."))
    .toSorted()
