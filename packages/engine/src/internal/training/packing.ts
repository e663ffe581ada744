/**
 * Sequences side by side in rows, so that little of a run is padding, and runs of few shapes, as each shape is compiled
 * once. Positions do not see beyond their own sequence.
 */

/** A sequence's place: row and first column. @internal */
export interface Place {
  readonly item: number
  readonly row: number
  readonly column: number
}

/** @internal */
export interface Pack {
  readonly rows: number
  readonly length: number
  readonly places: ReadonlyArray<Place>
}

const smallest = 16

/** The power of two at or above a number, and at least `least`. @internal */
export const bucket = (size: number, least = 1): number => {
  let out = least
  while (out < size) out *= 2
  return out
}

/**
 * Packs sequences of given lengths into runs of at most `limit` positions, or of one row where a sequence is longer.
 * Rows and lengths are powers of two. Long sequences go first, each into the first row with room; equal input, equal
 * packs.
 *
 * @internal
 */
export const pack = (lengths: ReadonlyArray<number>, limit: number): ReadonlyArray<Pack> => {
  let waiting = lengths.map((_, index) => index).sort((a, b) => lengths[b]! - lengths[a]! || a - b)
  const packs: Array<Pack> = []
  while (waiting.length > 0) {
    const length = bucket(lengths[waiting[0]!]!, smallest)
    const mostRows = Math.max(1, Math.floor(limit / length))
    const used: Array<number> = []
    const places: Array<Place> = []
    const left: Array<number> = []
    for (const item of waiting) {
      const size = lengths[item]!
      let row = used.findIndex((column) => column + size <= length)
      if (row < 0) {
        if (used.length === mostRows) {
          left.push(item)
          continue
        }
        row = used.push(0) - 1
      }
      places.push({ item, row, column: used[row]! })
      used[row] = used[row]! + size
    }
    packs.push({ rows: bucket(used.length), length, places })
    waiting = left
  }
  return packs
}

/** Added to the scores that attention must not see. @internal */
export const hidden = -1e9

/**
 * The mask (rows, length, length) of a pack: 0 where a position may look, `hidden` elsewhere. Padding looks at itself.
 *
 * @internal
 */
export const mask = ({ length, places, rows }: Pack, sizes: ReadonlyArray<number>): Float32Array => {
  const out = new Float32Array(rows * length * length).fill(hidden)
  for (let position = 0; position < rows * length; position++) out[position * length + (position % length)] = 0
  for (const { column, item, row } of places) {
    for (let i = column; i < column + sizes[item]!; i++) {
      const at = (row * length + i) * length
      out.fill(0, at + column, at + i + 1)
    }
  }
  return out
}
