/**
 * Batches in a random order that depends only on a seed. Each epoch is shuffled separately. The batch of a step does not
 * depend on earlier calls, so a run can resume at any step.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** number of items in every batch; a batch may continue into the next epoch */
  readonly size: number
  readonly seed: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Batches<A> {
  /** the batch of a step, counted from 0; there is no last step */
  readonly at: (step: number) => Effect.Effect<ReadonlyArray<A>>
}

/**
 * @throws RangeError if there are no items, or the size is not an integer above 0.
 * @since 0.1.0
 * @category constructors
 */
export const make = <A>(items: ReadonlyArray<A>, { seed, size }: Options): Batches<A> => {
  if (items.length === 0) throw new RangeError("there are no items to make batches of")
  if (!Number.isInteger(size) || size < 1)
    throw new RangeError(`the size of a batch is ${size}: give an integer above 0`)
  // caches two epochs: a batch may need both
  const orders = new Map<number, ReadonlyArray<A>>()

  const orderOf = (epoch: number) =>
    Effect.suspend(() => {
      const cached = orders.get(epoch)
      if (cached !== undefined) return Effect.succeed(cached)
      return Effect.map(Random.make(`${seed}:${epoch}`).shuffle(items), (shuffled) => {
        const order = Chunk.toReadonlyArray(shuffled)
        for (const other of orders.keys()) if (Math.abs(other - epoch) > 1) orders.delete(other)
        orders.set(epoch, order)
        return order
      })
    })

  return {
    at: Effect.fnUntraced(function* (step) {
      const batch: Array<A> = []
      for (let position = step * size; batch.length < size;) {
        const order = yield* orderOf(Math.floor(position / items.length))
        const start = position % items.length
        const taken = order.slice(start, start + size - batch.length)
        batch.push(...taken)
        position += taken.length
      }
      return batch
    })
  }
}
