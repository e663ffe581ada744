/** One data set from several, interleaved by their weights. */
import type { Dataset } from "../dataset/model.ts"
import { Fingerprint } from "../records/hash.ts"
import { plan } from "./interleave.ts"

/** @internal */
export interface Weighted<out A, out E, out R> {
  readonly dataset: Dataset<A, E, R>
  readonly weight?: number | undefined
}

/**
 * The sources that count, with their weights: the given ones, or else their sizes.
 *
 * @throws RangeError if only some have weights, or no weight is above 0.
 * @internal
 */
export const withWeights = <A, E, R>(sources: ReadonlyArray<Weighted<A, E, R>>) => {
  const given = sources.filter(({ weight }) => weight !== undefined)
  if (given.length > 0 && given.length < sources.length) {
    const { dataset } = sources.find(({ weight }) => weight === undefined)!
    throw new RangeError(`${dataset.name} has no weight, but others have: give weights to all sources or to none`)
  }
  for (const { dataset, weight } of given) {
    if (!Number.isFinite(weight) || weight! < 0) {
      throw new RangeError(`the weight of ${dataset.name} is ${weight}: give a number of 0 or more`)
    }
  }
  const weighted = sources.map(({ dataset, weight }) => ({ dataset, weight: weight ?? dataset.size }))
  const counted = weighted.filter(({ weight }) => weight > 0)
  const empty = counted.find(({ dataset }) => dataset.size === 0)
  if (empty !== undefined) throw new RangeError(`${empty.dataset.name} is empty, but its weight is ${empty.weight}`)
  if (counted.length === 0) throw new RangeError("no source has a weight above 0")
  if (counted.length > 65_536) throw new RangeError(`there are ${counted.length} sources: give at most 65536`)
  return counted
}

/** @internal */
export const mix = <A, E, R>(sources: ReadonlyArray<Weighted<A, E, R>>, repeats: boolean): Dataset<A, E, R> => {
  const counted = withWeights(sources)
  const sizes = counted.map(({ dataset }) => dataset.size)
  const weights = counted.map(({ weight }) => weight)
  const { at: planAt, size } = plan(sizes, weights, repeats)
  const fingerprint = new Fingerprint()
  for (const [i, { dataset }] of counted.entries()) fingerprint.addText(`${dataset.fingerprint} ${weights[i]}`)
  fingerprint.addText(String(repeats))
  const within = <B>(position: number, take: (dataset: Dataset<A, E, R>, at: number) => B): B => {
    if (!Number.isInteger(position) || position < 0 || position >= size) {
      throw new RangeError(`there is no item at position ${position}: the mix has ${size}`)
    }
    const { index, source } = planAt(position)
    return take(counted[source]!.dataset, index % sizes[source]!)
  }
  return {
    name: counted.map(({ dataset }) => dataset.name).join(" + "),
    size,
    fingerprint: fingerprint.toString(),
    at: (position) => within(position, (dataset, at) => dataset.at(at)),
    originOf: (position) => within(position, (dataset, at) => dataset.originOf(at)),
    hashAt: (position) => within(position, (dataset, at) => dataset.hashAt(at)),
    isTest: (position) => within(position, (dataset, at) => dataset.isTest(at))
  }
}
