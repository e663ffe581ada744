/** Orders of positions that depend on nothing but a key. */
import * as Effect from "effect/Effect"
import { yieldToEventLoop } from "../effect/macrotask.ts"
import { type Key, Numbers } from "./threefry.ts"

/** Swaps at a time: some ten milliseconds. */
const chunkSize = 100_000

/** The positions from 0 to `size - 1`, shuffled by Fisher and Yates. @internal */
export const permutation = (size: number, key: Key): Effect.Effect<Uint32Array> =>
  Effect.suspend(() => {
    const numbers = new Numbers(key)
    const order = Uint32Array.from({ length: size }, (_, i) => i)
    const swapSome = (from: number, to: number): void => {
      for (let i = from; i > to; i--) {
        const other = numbers.below(i + 1)
        const held = order[i]!
        order[i] = order[other]!
        order[other] = held
      }
    }
    const swapAll = (from: number): Effect.Effect<Uint32Array> => {
      const to = Math.max(0, from - chunkSize)
      swapSome(from, to)
      return to === 0 ? Effect.succeed(order) : Effect.flatMap(yieldToEventLoop, () => swapAll(to))
    }
    return swapAll(size - 1)
  })

/** Keeps the orders of the last two epochs: a batch may need both. @internal */
export const cached = (
  size: number,
  { seed, worker }: { readonly seed: number; readonly worker: number }
): ((epoch: number) => Effect.Effect<Uint32Array>) => {
  const orders = new Map<number, Uint32Array>()
  return (epoch) =>
    Effect.suspend(() => {
      const known = orders.get(epoch)
      if (known !== undefined) return Effect.succeed(known)
      return Effect.map(permutation(size, { seed, epoch, worker }), (order) => {
        for (const other of orders.keys()) if (Math.abs(other - epoch) > 1) orders.delete(other)
        orders.set(epoch, order)
        return order
      })
    })
}
