/** Batches of a data set by the number of their step. */
import * as Effect from "effect/Effect"
import type { Dataset } from "../dataset/model.ts"
import { batchStarts, type Budget } from "./packing.ts"
import * as permutation from "./permutation.ts"

/** What becomes of the items at the end of an epoch that fill no batch. @internal */
export type Last = "continue" | "keep" | "drop"

/** Which items are in the batch of a step. @internal */
export interface Plan {
  readonly positionsAt: (step: number) => Effect.Effect<ReadonlyArray<number>>
  /** steps of an epoch; with `continue` not always whole */
  readonly stepsPerEpoch: number
  /** items that each epoch leaves out */
  readonly dropped: number
}

const checkStep = (step: number): void => {
  if (!Number.isInteger(step) || step < 0) throw new RangeError(`the step is ${step}: give an integer of 0 or more`)
}

/** Batches of one size, of which one may continue in the next epoch. */
const continuing = (
  size: number,
  count: number,
  orderOf: (epoch: number) => Effect.Effect<ArrayLike<number>>
): Plan => ({
  stepsPerEpoch: count / size,
  dropped: 0,
  positionsAt: Effect.fnUntraced(function* (step) {
    checkStep(step)
    const positions: Array<number> = []
    for (let place = step * size; positions.length < size;) {
      const order = yield* orderOf(Math.floor(place / count))
      const start = place % count
      const end = Math.min(count, start + size - positions.length)
      for (let i = start; i < end; i++) positions.push(order[i]!)
      place += end - start
    }
    return positions
  })
})

/** Batches of one size, of which the last of each epoch has fewer items, or is left out. */
const ending = (
  size: number,
  count: number,
  last: "keep" | "drop",
  orderOf: (epoch: number) => Effect.Effect<ArrayLike<number>>
): Plan => {
  const perEpoch = last === "keep" ? Math.ceil(count / size) : Math.floor(count / size)
  if (perEpoch === 0) {
    throw new RangeError(`all ${count} items are left out, since they fill no batch of ${size}: keep the last batch`)
  }
  return {
    stepsPerEpoch: perEpoch,
    dropped: last === "keep" ? 0 : count % size,
    positionsAt: Effect.fnUntraced(function* (step) {
      checkStep(step)
      const order = yield* orderOf(Math.floor(step / perEpoch))
      const start = (step % perEpoch) * size
      return Array.from({ length: Math.min(size, count - start) }, (_, i) => order[start + i]!)
    })
  }
}

/** In which order an epoch has the items. @internal */
export type Order = "given" | { readonly seed: number; readonly worker: number }

const ordersOf = (count: number, order: Order): ((epoch: number) => Effect.Effect<Uint32Array>) => {
  if (order !== "given") return permutation.cached(count, order)
  const given = Uint32Array.from({ length: count }, (_, i) => i)
  return () => Effect.succeed(given)
}

/** @internal */
export const byCount = (count: number, size: number, last: Last, order: Order): Plan => {
  const orderOf = ordersOf(count, order)
  return last === "continue" ? continuing(size, count, orderOf) : ending(size, count, last, orderOf)
}

/** Batches of as many items as fit. Epochs may have different numbers of them. @internal */
export const byTokens = (lengths: ArrayLike<number>, budget: Budget, order: Order) =>
  Effect.gen(function* () {
    const count = lengths.length
    const orderOf = ordersOf(count, order)
    // where each epoch that was looked at begins and how it is divided
    const firsts: Array<number> = [0]
    const startsOf = (epoch: number) =>
      Effect.map(orderOf(epoch), (items) => ({ items, starts: batchStarts(items, (item) => lengths[item]!, budget) }))
    const first = yield* startsOf(0)
    firsts.push(first.starts.length - 1)
    let held = { epoch: 0, ...first }
    const hold = (epoch: number) =>
      held.epoch === epoch ? Effect.succeed(held) : Effect.map(startsOf(epoch), (found) => (held = { epoch, ...found }))
    const epochOf = Effect.fnUntraced(function* (step: number) {
      while (firsts[firsts.length - 1]! <= step) {
        const epoch = firsts.length - 1
        const { starts } = yield* hold(epoch)
        // another fiber may have looked at this epoch meanwhile
        firsts[epoch + 1] = firsts[epoch]! + starts.length - 1
      }
      return firsts.findLastIndex((start) => start <= step)
    })
    const plan: Plan = {
      stepsPerEpoch: first.starts.length - 1,
      dropped: 0,
      positionsAt: Effect.fnUntraced(function* (step) {
        checkStep(step)
        const epoch = yield* epochOf(step)
        const { items, starts } = yield* hold(epoch)
        const batch = step - firsts[epoch]!
        return Array.from(items.subarray(starts[batch], starts[batch + 1]))
      })
    }
    return plan
  })

/** The items at the positions of a step. @internal */
export const itemsAt =
  <A, E, R>(dataset: Dataset<A, E, R>, { positionsAt }: Plan) =>
  (step: number): Effect.Effect<ReadonlyArray<A>, E, R> =>
    Effect.flatMap(positionsAt(step), (positions) => Effect.forEach(positions, dataset.at))
