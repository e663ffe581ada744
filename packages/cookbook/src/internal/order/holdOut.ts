/** Takes rows out of training, so that nothing that is held out is trained as well. */
import * as Effect from "effect/Effect"
import { DatasetError } from "../bytes/datasetError.ts"
import { select } from "../dataset/derive.ts"
import type { Dataset } from "../dataset/model.ts"
import { yieldToEventLoop } from "../effect/macrotask.ts"
import { HashSet } from "../records/hashSet.ts"
import { type Weighted, withWeights } from "./mix.ts"
import * as permutation from "./permutation.ts"

/** Rows that are looked at before others get their turn. */
const chunkSize = 50_000

/** @internal */
export interface Split<out A, out E, out R> {
  /** the sources without what is held out, with their weights */
  readonly train: ReadonlyArray<{ readonly dataset: Dataset<A, E, R>; readonly weight: number | undefined }>
  readonly heldOut: Dataset<A, E, R>
  /** rows that were left out of training because they are the same as one that is held out */
  readonly overlap: number
}

const forEachRow = (size: number, visit: (position: number) => void): Effect.Effect<void> => {
  const from = (start: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const end = Math.min(size, start + chunkSize)
      for (let position = start; position < end; position++) visit(position)
      return end === size ? Effect.void : Effect.flatMap(yieldToEventLoop, () => from(end))
    })
  return from(0)
}

/** How many rows differ from all others of their source. */
const countUnique = <A, E, R>(dataset: Dataset<A, E, R>) =>
  Effect.gen(function* () {
    const seen = new HashSet()
    let unique = 0
    yield* forEachRow(dataset.size, (position) => {
      if (seen.add(dataset.hashAt(position))) unique++
    })
    return unique
  })

/** How many rows each source gives: by the weights, as long as it keeps one. */
const share = (
  count: number,
  capacities: ReadonlyArray<number>,
  weights: ReadonlyArray<number>
): ReadonlyArray<number> => {
  const given = capacities.map(() => 0)
  for (let i = 0; i < count; i++) {
    let best = -1
    for (const [source, capacity] of capacities.entries()) {
      if (given[source]! >= capacity) continue
      const isBehind = best < 0 || (given[source]! + 1) / weights[source]! < (given[best]! + 1) / weights[best]!
      if (isBehind) best = source
    }
    given[best]!++
  }
  return given
}

interface Marks {
  /** the hashes of all that is held out */
  readonly hashes: HashSet
  /** the positions that are held out of each source */
  readonly positions: ReadonlyArray<Array<number>>
}

/** Draws rows that differ from all others that are held out. */
const draw = <A, E, R>(dataset: Dataset<A, E, R>, count: number, seed: number, source: number, marks: Marks) =>
  Effect.gen(function* () {
    // the last epoch, which no training has
    const order = yield* permutation.permutation(dataset.size, { seed, epoch: 2 ** 32 - 1, worker: source })
    const positions = marks.positions[source]!
    for (let i = 0; i < order.length && positions.length < count; i++) {
      const position = order[i]!
      if (marks.hashes.add(dataset.hashAt(position))) positions.push(position)
    }
  })

/** The rows of a source that are not held out, and the number of those that are the same as one that is. */
const rest = <A, E, R>(dataset: Dataset<A, E, R>, heldOut: ReadonlyArray<number>, hashes: HashSet) =>
  Effect.gen(function* () {
    const out = new Set(heldOut)
    const kept = new Uint32Array(dataset.size)
    let [length, overlap] = [0, 0]
    yield* forEachRow(dataset.size, (position) => {
      if (out.has(position)) return
      if (hashes.has(dataset.hashAt(position))) overlap++
      else kept[length++] = position
    })
    return { dataset: select(dataset, kept.subarray(0, length)), overlap }
  })

const emptied = (path: string): DatasetError =>
  new DatasetError({ path, reason: "nothing is left to train on: hold out less, or give it the weight 0" })

/** The sources without the rows that are marked. */
const finish = Effect.fnUntraced(function* <A, E, R>(
  sources: ReadonlyArray<Weighted<A, E, R>>,
  { hashes, positions }: Marks
) {
  const train: Array<{ readonly dataset: Dataset<A, E, R>; readonly weight: number | undefined }> = []
  let overlap = 0
  for (const [i, { dataset, weight }] of sources.entries()) {
    const left = yield* rest(dataset, positions[i]!, hashes)
    if (left.dataset.size === 0) return yield* emptied(dataset.name)
    overlap += left.overlap
    train.push({ dataset: left.dataset, weight })
  }
  if (overlap > 0) {
    yield* Effect.logWarning(`${overlap} rows are not trained on, since they are the same as rows that are held out`)
  }
  const parts = sources.map(({ dataset }, i) => select(dataset, positions[i]!)).filter(({ size }) => size > 0)
  const split: Split<A, E, R> = { train, heldOut: concatenate(parts), overlap }
  return split
})

const concatenate = <A, E, R>(parts: ReadonlyArray<Dataset<A, E, R>>): Dataset<A, E, R> => {
  const places = parts.flatMap((part) => Array.from({ length: part.size }, (_, at) => ({ part, at })))
  const place = (position: number) => {
    const found = places[position]
    if (found === undefined)
      throw new RangeError(`there is no item at position ${position}: ${places.length} are held out`)
    return found
  }
  return {
    name: "what is held out",
    size: places.length,
    fingerprint: parts.map(({ fingerprint }) => fingerprint).join("+"),
    at: (position) => place(position).part.at(place(position).at),
    originOf: (position) => place(position).part.originOf(place(position).at),
    hashAt: (position) => place(position).part.hashAt(place(position).at),
    isTest: (position) => place(position).part.isTest(place(position).at)
  }
}

/**
 * Holds out rows that are drawn by the seed, no two the same. It fails if the sources have too few different rows.
 *
 * @internal
 */
export const byCount = Effect.fnUntraced(function* <A, E, R>(
  given: ReadonlyArray<Weighted<A, E, R>>,
  count: number,
  seed: number
) {
  const sources = withWeights(given)
  const unique = yield* Effect.forEach(sources, ({ dataset }) => countUnique(dataset))
  const capacities = unique.map((rows) => rows - 1)
  const most = capacities.reduce((sum, capacity) => sum + capacity, 0)
  if (!Number.isInteger(count) || count < 0 || count > most) {
    return yield* new DatasetError({
      path: sources.map(({ dataset }) => dataset.name).join(", "),
      reason: `${count} rows cannot be held out: give an integer from 0 to ${most}, so that each source keeps one`
    })
  }
  const marks: Marks = { hashes: new HashSet(), positions: sources.map(() => []) }
  const counts = share(
    count,
    capacities,
    sources.map(({ weight }) => weight)
  )
  for (const [i, { dataset }] of sources.entries()) yield* draw(dataset, counts[i]!, seed, i, marks)
  const weights = given.some(({ weight }) => weight !== undefined)
  return yield* finish(
    sources.map(({ dataset, weight }) => ({ dataset, weight: weights ? weight : undefined })),
    marks
  )
})

/** Holds out the rows that their files mark. @internal */
export const marked = Effect.fnUntraced(function* <A, E, R>(given: ReadonlyArray<Weighted<A, E, R>>) {
  const marks: Marks = { hashes: new HashSet(), positions: given.map(() => []) }
  for (const [i, { dataset }] of given.entries()) {
    yield* forEachRow(dataset.size, (position) => {
      if (!dataset.isTest(position)) return
      marks.positions[i]!.push(position)
      marks.hashes.add(dataset.hashAt(position))
    })
  }
  return yield* finish(given, marks)
})
