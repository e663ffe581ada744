/** Where batches begin in the order of an epoch, if each may have so many tokens. */

/** @internal */
export interface Budget {
  /** the most tokens of a batch */
  readonly tokens: number
  /** the most items of a batch */
  readonly items: number
}

/**
 * The places at which batches begin, and the end of the last one: each batch takes items in their order as long as they
 * fit. No item is longer than the budget.
 *
 * @internal
 */
export const batchStarts = (
  order: ArrayLike<number>,
  lengthOf: (item: number) => number,
  budget: Budget
): ReadonlyArray<number> => {
  const starts = [0]
  let tokens = 0
  for (let place = 0; place < order.length; place++) {
    const length = lengthOf(order[place]!)
    const start = starts[starts.length - 1]!
    const isFull = tokens + length > budget.tokens || place - start >= budget.items
    if (isFull && place > start) {
      starts.push(place)
      tokens = 0
    }
    tokens += length
  }
  if (order.length > 0) starts.push(order.length)
  return starts
}
