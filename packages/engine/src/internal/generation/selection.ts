/** Places in the descending order of many values, found without sorting all of them. */

/** Sets of at most this many values are sorted. */
const smallSize = 256

/** The order: larger values first, equal ones by their index. */
const compare = (values: Float64Array, a: number, b: number): number => values[b]! - values[a]! || a - b

/** A value in the order. @internal */
export interface Place {
  readonly index: number
  /** of the weights of the values up to this one */
  readonly sum: number
}

/** The indices that a test keeps, in the same order. A plain loop is several times faster than `filter`. */
const keep = (among: Uint32Array, test: (index: number) => boolean): Uint32Array => {
  const kept = new Uint32Array(among.length)
  let count = 0
  for (let i = 0; i < among.length; i++) {
    const index = among[i]!
    if (test(index)) kept[count++] = index
  }
  return kept.subarray(0, count)
}

/** The indices at a place or before it, ascending. @internal */
export const upTo = (values: Float64Array, among: Uint32Array, { index: last }: Place): Uint32Array => {
  const value = values[last]!
  return keep(among, (index) => values[index]! > value || (values[index]! === value && index <= last))
}

/**
 * The 16 bits of a value at a level, 3 for the highest ones, so that larger values have larger bits. `words` are the
 * 16-bit words of the values, on machines that store the lowest first.
 */
const digitOf = (words: Uint16Array, index: number, level: number): number => {
  const word = words[4 * index + level]!
  const isNegative = words[4 * index + 3]! >= 0x8000
  if (isNegative) return word ^ 0xffff
  return level === 3 ? word | 0x8000 : word
}

const sums = new Float64Array(2 ** 16)

/** Sorts what is left, and walks to the place. */
const walk = (
  sorted: ReadonlyArray<number>,
  weights: Float64Array | undefined,
  before: number,
  isReached: (sum: number) => boolean
): Place => {
  let sum = before
  for (const index of sorted) {
    sum += weights === undefined ? 1 : weights[index]!
    if (isReached(sum)) return { index, sum }
  }
  return { index: sorted[sorted.length - 1]!, sum }
}

/** Adds the weights up by the 16 bits of the values at a level. Returns the lowest of these that occur. */
const addUp = (words: Uint16Array, among: Uint32Array, level: number, weights: Float64Array | undefined): number => {
  sums.fill(0)
  let lowest = 2 ** 16
  for (let i = 0; i < among.length; i++) {
    const index = among[i]!
    const digit = digitOf(words, index, level)
    sums[digit]! += weights === undefined ? 1 : weights[index]!
    if (digit < lowest) lowest = digit
  }
  return lowest
}

/**
 * The first place at which the sum of the weights up to it is reached, or the last place. `among` are the indices of the
 * values that take part, ascending and at least one; without weights, each counts 1. Narrows the place down by 16 bits of
 * the values at a time.
 *
 * @internal
 */
export const find = (
  values: Float64Array,
  among: Uint32Array,
  weights: Float64Array | undefined,
  isReached: (sum: number) => boolean
): Place => {
  const words = new Uint16Array(values.buffer, values.byteOffset, 4 * values.length)
  let left = among
  let before = 0
  for (let level = 3; level >= 0 && left.length > smallSize; level--) {
    const lowest = addUp(words, left, level, weights)
    let digit = 2 ** 16 - 1
    for (; digit > lowest && !isReached(before + sums[digit]!); digit--) before += sums[digit]!
    left = keep(left, (index) => digitOf(words, index, level) === digit)
  }
  // after the last level all that are left are equal
  const isTied = left.length > smallSize
  const sorted = isTied ? [...left] : [...left].sort((a, b) => compare(values, a, b))
  return walk(sorted, weights, before, isReached)
}

/** The indices of the `count` largest values, in descending order. @internal */
export const largest = (values: Float64Array, count: number): ReadonlyArray<number> => {
  const all = Uint32Array.from({ length: values.length }, (_, index) => index)
  const kept =
    count < all.length
      ? upTo(
          values,
          all,
          find(values, all, undefined, (sum) => sum >= count)
        )
      : all
  return [...kept].sort((a, b) => compare(values, a, b))
}
