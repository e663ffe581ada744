/** Data sets made from arrays and from other data sets. */
import * as Effect from "effect/Effect"
import { Fingerprint, hashOf } from "../records/hash.ts"
import type { Dataset } from "./model.ts"

const check = (name: string, size: number, position: number): void => {
  if (!Number.isInteger(position) || position < 0 || position >= size) {
    throw new RangeError(`there is no item at position ${position}: ${name} has ${size}`)
  }
}

/** @internal */
export const fromItems = <A>(items: ReadonlyArray<A>, name: string): Dataset<A> => {
  // only what asks for hashes pays for them
  let known: Float64Array | undefined
  const hashes = () => (known ??= Float64Array.from(items, hashOf))
  const within = (position: number): number => {
    check(name, items.length, position)
    return position
  }
  return {
    name,
    size: items.length,
    get fingerprint() {
      const fingerprint = new Fingerprint()
      for (const hash of hashes()) fingerprint.add(hash)
      return fingerprint.toString()
    },
    at: (position) => Effect.succeed(items[within(position)]!),
    originOf: (position) => ({ path: name, row: within(position) }),
    hashAt: (position) => hashes()[within(position)]!,
    isTest: (position) => {
      const item: unknown = items[within(position)]
      return typeof item === "object" && item !== null && "split" in item && item.split === "test"
    }
  }
}

/** Another fingerprint for each text. */
const derivedFingerprint = (fingerprint: string, ...parts: ReadonlyArray<string | number>): string => {
  const derived = new Fingerprint()
  for (const part of [fingerprint, ...parts]) derived.addText(String(part))
  return derived.toString()
}

/** @internal */
export const map = <A, E, R, B, E2, R2>(
  dataset: Dataset<A, E, R>,
  name: string,
  f: (item: A, position: number) => Effect.Effect<B, E2, R2>
): Dataset<B, E | E2, R | R2> => ({
  name: dataset.name,
  size: dataset.size,
  get fingerprint() {
    return derivedFingerprint(dataset.fingerprint, name)
  },
  at: (position) => Effect.flatMap(dataset.at(position), (item) => f(item, position)),
  originOf: dataset.originOf,
  hashAt: dataset.hashAt,
  isTest: dataset.isTest
})

/** The items at some positions, in the order of those. @internal */
export const select = <A, E, R>(
  dataset: Dataset<A, E, R>,
  positions: { readonly length: number; readonly [position: number]: number },
  name: string = dataset.name
): Dataset<A, E, R> => {
  const within = (position: number): number => {
    check(name, positions.length, position)
    return positions[position]!
  }
  return {
    name,
    size: positions.length,
    get fingerprint() {
      const fingerprint = new Fingerprint()
      fingerprint.addText(dataset.fingerprint)
      for (let i = 0; i < positions.length; i++) fingerprint.add(positions[i]!)
      return fingerprint.toString()
    },
    at: (position) => dataset.at(within(position)),
    originOf: (position) => dataset.originOf(within(position)),
    hashAt: (position) => dataset.hashAt(within(position)),
    isTest: (position) => dataset.isTest(within(position))
  }
}
