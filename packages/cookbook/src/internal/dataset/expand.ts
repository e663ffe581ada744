/** A data set of the datums that follow from records, of which one may give several or none. */
import * as Effect from "effect/Effect"
import * as growable from "../bytes/growable.ts"
import { Fingerprint } from "../records/hash.ts"
import type { Dataset } from "./model.ts"

/** How many of the last records keep their datums. */
const kept = 64

/** Where the datums of records begin. */
interface Starts {
  /** by the number of a record that has datums: its position, and the number of its first datum */
  readonly records: growable.Growable
  readonly firsts: growable.Growable
  readonly size: number
}

/** The number of the record whose datums include one. */
const findRecord = ({ firsts }: Starts, position: number): number => {
  let [low, high] = [0, firsts.length - 1]
  while (low < high) {
    const middle = Math.floor((low + high + 1) / 2)
    if (firsts.get(middle) <= position) low = middle
    else high = middle - 1
  }
  return low
}

/**
 * Makes the datums of all records once, shows them to `visit`, and forgets them; later each is made again from its
 * record.
 *
 * @internal
 */
export const expand = Effect.fnUntraced(function* <A, E, R, B, E2, R2>(
  dataset: Dataset<A, E, R>,
  name: string,
  expandOne: (item: A, position: number) => Effect.Effect<ReadonlyArray<B>, E2, R2>,
  visit: (item: B) => void
) {
  const [records, firsts] = [growable.uint32(), growable.uint32()]
  let size = 0
  for (let position = 0; position < dataset.size; position++) {
    const items = yield* Effect.flatMap(dataset.at(position), (item) => expandOne(item, position))
    if (items.length === 0) continue
    records.push(position)
    firsts.push(size)
    size += items.length
    items.forEach(visit)
  }
  const starts: Starts = { records, firsts, size }
  const cache = new Map<number, ReadonlyArray<B>>()
  const itemsOf = (position: number): Effect.Effect<ReadonlyArray<B>, E | E2, R | R2> => {
    const known = cache.get(position)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.map(
      Effect.flatMap(dataset.at(position), (item) => expandOne(item, position)),
      (items) => {
        cache.set(position, items)
        if (cache.size > kept) cache.delete(cache.keys().next().value!)
        return items
      }
    )
  }
  const within = <C>(position: number, take: (record: number, index: number) => C): C => {
    if (!Number.isInteger(position) || position < 0 || position >= size) {
      throw new RangeError(`there is no datum at position ${position}: ${dataset.name} gives ${size}`)
    }
    const number = findRecord(starts, position)
    return take(records.get(number), position - firsts.get(number))
  }
  const expanded: Dataset<B, E | E2, R | R2> = {
    name: dataset.name,
    size,
    get fingerprint() {
      const fingerprint = new Fingerprint()
      for (const part of [dataset.fingerprint, name, String(size)]) fingerprint.addText(part)
      return fingerprint.toString()
    },
    at: (position) => within(position, (record, index) => Effect.map(itemsOf(record), (items) => items[index]!)),
    originOf: (position) => within(position, dataset.originOf),
    hashAt: (position) => within(position, (record, index) => (dataset.hashAt(record) + index) % 2 ** 53),
    isTest: (position) => within(position, dataset.isTest)
  }
  return expanded
})
