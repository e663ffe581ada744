/**
 * Batches of a data set by the number of their step. The batch of a step depends on nothing but the data and the options,
 * so a run resumes at any step.
 *
 * Each epoch is an order of its own of the original data, shuffled by Fisher and Yates with the random numbers of
 * Threefry-4x32, whose key is the seed, the epoch and the worker: no two of them share a stream.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Dataset } from "./Dataset.ts"
import { DatasetError } from "./internal/bytes/datasetError.ts"
import { fromItems } from "./internal/dataset/derive.ts"
import { Fingerprint } from "./internal/records/hash.ts"
import * as batches from "./internal/order/batches.ts"
import { prefetch as prefetching } from "./internal/order/prefetch.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Order {
  /** shuffles the data; without one, each epoch has the order of the data */
  readonly seed?: number | undefined
  /** tells programs apart that train on the same data with the same seed; 0 by default */
  readonly worker?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends Order {
  /** the number of items of a batch */
  readonly size: number
  /**
   * what becomes of the items at the end of an epoch that fill no batch: the batch continues with the next epoch
   * (`continue`, the default), it has fewer items (`keep`), or they are left out of this epoch (`drop`)
   */
  readonly last?: "continue" | "keep" | "drop" | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface TokenOptions extends Order {
  /** the most tokens of a batch */
  readonly tokens: number
  /** the most items of a batch; 1024 by default */
  readonly items?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Batches<out A, out E = never, out R = never> {
  /** the batch of a step, counted from 0; there is no last step */
  readonly at: (step: number) => Effect.Effect<ReadonlyArray<A>, E, R>
  /** steps of one pass over the data; not whole if a batch continues with the next epoch */
  readonly stepsPerEpoch: number
  /** the number of items that each epoch leaves out */
  readonly dropped: number
  /** tells these batches from those of other data or options */
  readonly fingerprint: string
}

const datasetOf = <A, E, R>(data: Dataset<A, E, R> | ReadonlyArray<A>): Dataset<A, E, R> =>
  "fingerprint" in data ? data : fromItems(data, "the items")

const positive = (name: string, value: number): void => {
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} is ${value}: give an integer above 0`)
}

const checkData = (size: number): void => {
  if (size === 0) throw new RangeError("there are no items to make batches of")
}

const orderOf = ({ seed, worker = 0 }: Order): batches.Order => (seed === undefined ? "given" : { seed, worker })

const withPlan = <A, E, R>(
  dataset: Dataset<A, E, R>,
  plan: batches.Plan,
  options: ReadonlyArray<string | number | undefined>
): Batches<A, E, R> => ({
  at: batches.itemsAt(dataset, plan),
  stepsPerEpoch: plan.stepsPerEpoch,
  dropped: plan.dropped,
  get fingerprint() {
    const fingerprint = new Fingerprint()
    for (const part of [dataset.fingerprint, ...options]) fingerprint.addText(String(part))
    return fingerprint.toString()
  }
})

/**
 * Batches of the same number of items.
 *
 * @throws RangeError if there are no items, or an option is out of its range.
 * @since 0.1.0
 * @category constructors
 */
export const make = <A, E = never, R = never>(
  data: Dataset<A, E, R> | ReadonlyArray<A>,
  options: Options
): Batches<A, E, R> => {
  const { last = "continue", seed, size, worker } = options
  const dataset = datasetOf(data)
  checkData(dataset.size)
  positive("the size of a batch", size)
  const plan = batches.byCount(dataset.size, size, last, orderOf(options))
  return withPlan(dataset, plan, ["count", size, last, seed, worker])
}

/**
 * Batches of as many items as fit into a number of tokens, in the shuffled order. The last batch of an epoch has what is
 * left, so the number of steps may differ from one epoch to another.
 *
 * @param lengths the number of tokens of each item
 * It fails if an item has more tokens than a batch may have.
 *
 * @throws RangeError if there are no items, or an option is out of its range.
 * @since 0.1.0
 * @category constructors
 */
export const byTokens = <A, E = never, R = never>(
  data: Dataset<A, E, R> | ReadonlyArray<A>,
  lengths: ReadonlyArray<number> | Uint32Array,
  options: TokenOptions
): Effect.Effect<Batches<A, E, R>, DatasetError> =>
  Effect.gen(function* () {
    const { items = 1024, seed, tokens, worker } = options
    const dataset = datasetOf(data)
    checkData(dataset.size)
    positive("the number of tokens of a batch", tokens)
    positive("the number of items of a batch", items)
    if (lengths.length !== dataset.size) {
      throw new RangeError(`there are ${lengths.length} lengths of ${dataset.size} items: give one for each`)
    }
    const long = lengths.findIndex((length: number) => length > tokens)
    if (long >= 0) {
      const { line, path, row } = dataset.originOf(long)
      const reason = `has ${lengths[long]} tokens, but a batch may have ${tokens}: shorten it or raise that`
      return yield* new DatasetError({
        path,
        reason,
        ...(line === undefined ? {} : { line }),
        ...(row === undefined ? {} : { row })
      })
    }
    const plan = yield* batches.byTokens(lengths, { tokens, items }, orderOf(options))
    return withPlan(dataset, plan, ["tokens", tokens, items, seed, worker])
  })

/**
 * Makes the batches of the next steps in the background, until the scope ends.
 *
 * @param ahead how many steps
 * @since 0.1.0
 * @category mapping
 */
export const prefetch = <A, E, R>(
  source: Batches<A, E, R>,
  ahead: number
): Effect.Effect<Batches<A, E>, never, R | Scope.Scope> =>
  Effect.map(prefetching(source.at, ahead), (at) => ({
    at,
    stepsPerEpoch: source.stepsPerEpoch,
    dropped: source.dropped,
    fingerprint: source.fingerprint
  }))
