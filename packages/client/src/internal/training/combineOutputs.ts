/** Combines the outputs of the chunks of a batch, and reduces their metrics as the official client does. */
import type * as Training from "@effect-tinker/api/Training"

const mask = (1n << 64n) - 1n
const P1 = 11400714785074694791n
const P2 = 14029467366897019727n
const P5 = 2870177450012600261n

const hashInteger = (value: bigint): bigint => {
  const modulus = (1n << 61n) - 1n
  const hash = value < 0n ? -(-value % modulus) : value % modulus
  return hash === -1n ? -2n : hash
}

/** The hash of the values' sorted integer parts, as a signed 64-bit number. @internal */
export const hashUnordered = (values: ReadonlyArray<number>): bigint => {
  let acc = P5
  for (const value of values.map(Math.trunc).sort((a, b) => a - b)) {
    acc = (acc + (hashInteger(BigInt(value)) & mask) * P2) & mask
    acc = ((acc << 31n) | (acc >> 33n)) & mask
    acc = (acc * P1) & mask
  }
  acc = (acc + (BigInt(values.length) ^ P5 ^ 3527539n)) & mask
  return acc === mask ? 1546275796n : BigInt.asIntN(64, acc)
}

type Reduction = (values: ReadonlyArray<number>, weights: ReadonlyArray<number>) => number

const mean: Reduction = (values, weights) => {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return values.reduce((sum, value, i) => sum + value * weights[i]!, 0) / total
}

const reductions: { readonly [name: string]: Reduction } = {
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
  mean,
  slack: (values, weights) => Math.max(...values) - mean(values, weights),
  // a number has fewer than 64 bits; the nearest one is good enough for comparisons
  hash_unordered: (values) => Number(hashUnordered(values))
}

/** The reduction that a metric is named for: what is behind the last colon of its name. */
const reductionOf = (metric: string): string | undefined =>
  metric.includes(":") ? metric.slice(metric.lastIndexOf(":") + 1) : undefined

/**
 * Reduces the metrics of chunks by the suffix of their names. Metrics that some chunk lacks, and those of an unknown
 * reduction, are dropped, as is a mean over no outputs at all. `unique` keeps the value of every chunk.
 */
const reduceMetrics = (outputs: ReadonlyArray<Training.ForwardBackwardOutput>): Record<string, number> => {
  const reduced: Record<string, number> = {}
  const weights = outputs.map((output) => output.loss_fn_outputs.length)
  for (const metric of Object.keys(outputs[0]?.metrics ?? {})) {
    if (!outputs.every((output) => Object.hasOwn(output.metrics, metric))) continue
    const values = outputs.map((output) => output.metrics[metric]!)
    const reduction = reductionOf(metric)
    if (reduction === "unique") {
      values.forEach((value, i) => {
        reduced[i === 0 ? metric : `${metric}_${i}`] = value
      })
    } else if (reduction !== undefined && Object.hasOwn(reductions, reduction)) {
      const value = reductions[reduction]!(values, weights)
      if (!Number.isNaN(value) || values.some(Number.isNaN)) reduced[metric] = value
    }
  }
  return reduced
}

/** The outputs of all chunks in order, as the output of the batch. @internal */
export const combineOutputs = (
  outputs: ReadonlyArray<Training.ForwardBackwardOutput>
): Training.ForwardBackwardOutput => ({
  loss_fn_output_type: outputs[0]?.loss_fn_output_type ?? "",
  loss_fn_outputs: outputs.flatMap((output) => output.loss_fn_outputs),
  metrics: reduceMetrics(outputs)
})
