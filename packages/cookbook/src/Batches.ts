/**
 * Batches in an order that a seed decides: every epoch is a shuffle of its own, and step `n` is the same batch whether or
 * not the steps before it were asked for, so that a run can be resumed.
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
  /** items in a batch; every batch has as many, and may reach into the next epoch */
  readonly size: number
  readonly seed: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Batches<A> {
  /** the batch of a step, counted from 0, without end */
  readonly at: (step: number) => Effect.Effect<ReadonlyArray<A>>
}

/**
 * @throws RangeError when there are no items, or the size is not a whole number above 0.
 * @since 0.1.0
 * @category constructors
 */
export const make = <A>(items: ReadonlyArray<A>, { seed, size }: Options): Batches<A> => {
  if (items.length === 0) throw new RangeError("there are no items to make batches of")
  if (!Number.isInteger(size) || size < 1) throw new RangeError(`the size of a batch is ${size}: give a whole number`)
  // the last two epochs: a batch may lie across both
  const orders = new Map<number, ReadonlyArray<A>>()

  const orderOf = (epoch: number) =>
    Effect.suspend(() => {
      const held = orders.get(epoch)
      if (held !== undefined) return Effect.succeed(held)
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
