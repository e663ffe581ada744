/** A sequence of positions in blocks of equal size, which may hold several texts. */

/** @internal */
export interface BlockedSequence {
  /** positions in a block */
  readonly size: number
  /** the number of blocks */
  readonly count: number
  /** for each position, the first position that it sees; the last one is the position itself */
  readonly first: Int32Array
  /** the columns of a block, 0, 1, 2 … */
  readonly columns: Float32Array
}

/** A text within the positions. */
interface Span {
  readonly start: number
  readonly length: number
}

/**
 * Texts in blocks of `size` positions. Positions attend to themselves and to earlier positions of their text; padding
 * attends to itself only.
 *
 * @internal
 */
export const make = (size: number, spans: ReadonlyArray<Span>): BlockedSequence => {
  const end = Math.max(...spans.map(({ length, start }) => start + length))
  const count = Math.ceil(end / size)
  const first = Int32Array.from({ length: size * count }, (_, position) => position)
  for (const { length, start } of spans) first.fill(start, start, start + length)
  return { size, count, first, columns: Float32Array.from({ length: size }, (_, column) => column) }
}

/** The same sequence, in which a position sees so many positions of its text, itself included. @internal */
export const withWindow = (sequence: BlockedSequence, window: number): BlockedSequence => ({
  ...sequence,
  first: sequence.first.map((first, position) => Math.max(first, position - window + 1))
})

/** How many positions there are, padding included. @internal */
export const positionsOf = ({ count, size }: BlockedSequence): number => size * count

/** The first block of keys that a query of a block sees. @internal */
export const firstKeyBlock = ({ first, size }: BlockedSequence, block: number): number =>
  Math.floor(first.subarray(block * size, (block + 1) * size).reduce((a, b) => Math.min(a, b)) / size)

/** The first and the last column of a block of keys that each query of another block sees. @internal */
export const visibleColumns = (
  { first, size }: BlockedSequence,
  queries: number,
  keys: number
): Record<"first" | "last", Float32Array> => ({
  first: Float32Array.from({ length: size }, (_, i) => first[queries * size + i]! - keys * size),
  last: Float32Array.from({ length: size }, (_, i) => (queries - keys) * size + i)
})

/** The values of a block, which share memory with those of all positions. @internal */
export const blockOf = <A extends Float32Array | Int32Array>(
  { count, size }: Pick<BlockedSequence, "size" | "count">,
  values: A,
  block: number
): A => {
  const width = values.length / (size * count)
  return values.subarray(block * size * width, (block + 1) * size * width) as A
}
