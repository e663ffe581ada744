/** Sums of what comes later. */

/**
 * For each position with mask 1, its value and those behind it, each discounted once for every trained token between; 0
 * elsewhere.
 *
 * @internal
 */
export const discountedSums = (values: ArrayLike<number>, mask: ArrayLike<number>, discount: number): Float32Array => {
  const sums = new Float32Array(values.length)
  let sum = 0
  for (let at = values.length - 1; at >= 0; at--) {
    if (!(mask[at]! > 0)) continue
    sum = values[at]! + discount * sum
    sums[at] = sum
  }
  return sums
}
