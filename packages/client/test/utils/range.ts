/** Ranges of numbers. */

/** From 0 to `count - 1`. */
export const range = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)
