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

/** The hash of the sorted integer parts, as the official client computes it; signed, 64 bits. @internal */
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
  // a number cannot hold all 64 bits: the nearest one still tells equal from different
  hash_unordered: (values) => Number(hashUnordered(values))
}

/**
 * Reduces the metrics of chunks by the part of their name after the colon. The first chunk's names lead; a name that
 * another chunk lacks, or whose reduction is unknown, is dropped. `unique` keeps every chunk's value. A mean over no
 * outputs at all is dropped.
 *
 * @internal
 */
export const reduceMetrics = (outputs: ReadonlyArray<Training.ForwardBackwardOutput>): Record<string, number> => {
  const reduced: Record<string, number> = {}
  const weights = outputs.map((output) => output.loss_fn_outputs.length)
  for (const key of Object.keys(outputs[0]?.metrics ?? {})) {
    if (!outputs.every((output) => Object.hasOwn(output.metrics, key))) continue
    const values = outputs.map((output) => output.metrics[key]!)
    const name = key.slice(key.lastIndexOf(":") + 1)
    if (name === "unique" && key.includes(":")) {
      values.forEach((value, i) => {
        reduced[i === 0 ? key : `${key}_${i}`] = value
      })
    } else if (key.includes(":") && Object.hasOwn(reductions, name)) {
      const value = reductions[name]!(values, weights)
      if (!Number.isNaN(value) || values.some(Number.isNaN)) reduced[key] = value
    }
  }
  return reduced
}

/** Joins the chunks' outputs in order. @internal */
export const combine = (outputs: ReadonlyArray<Training.ForwardBackwardOutput>): Training.ForwardBackwardOutput => ({
  loss_fn_output_type: outputs[0]?.loss_fn_output_type ?? "",
  loss_fn_outputs: outputs.flatMap((output) => output.loss_fn_outputs),
  metrics: reduceMetrics(outputs)
})
