/** Arithmetic on shapes and sizes. */

/** The number of elements of a tensor. @internal */
export const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((size, dimension) => size * dimension, 1)

/** The smallest power of two that is at least `size` and at least `minimum`, itself a power of two. @internal */
export const nextPowerOfTwo = (size: number, minimum = 1): number => {
  let out = minimum
  while (out < size) out *= 2
  return out
}

/** `[0, 1, …, length - 1]`. @internal */
export const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, i) => i)

/** Whether every number is larger than the one before it. @internal */
export const isAscending = (values: ReadonlyArray<number>): boolean =>
  values.every((value, i) => i === 0 || values[i - 1]! < value)

/** Whether two shapes or lists of axes are equal. @internal */
export const isEqual = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i])
