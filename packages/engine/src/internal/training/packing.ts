/**
 * Packs sequences of different lengths into microbatches. Several sequences share a row, so there is little padding;
 * and microbatches have few different shapes, since the program is compiled once per shape.
 */
import { causalMask } from "../model/attentionMask.ts"
import { nextPowerOfTwo } from "../util/shape.ts"

/** The place of a sequence in a microbatch. */
interface Placement {
  /** the index of the sequence */
  readonly index: number
  readonly row: number
  /** the column of its first token */
  readonly column: number
}

/** @internal */
export interface Microbatch {
  readonly rows: number
  readonly length: number
  readonly placements: ReadonlyArray<Placement>
}

const shortestRow = 16

/** Fills one microbatch with as many of the pending sequences as have room, and returns those that are left. */
const fillMicrobatch = (
  lengths: ReadonlyArray<number>,
  pending: ReadonlyArray<number>,
  maxTokens: number
): { readonly microbatch: Microbatch; readonly left: ReadonlyArray<number> } => {
  const length = nextPowerOfTwo(lengths[pending[0]!]!, shortestRow)
  const maxRows = Math.max(1, Math.floor(maxTokens / length))
  /** the number of tokens in each row */
  const used: Array<number> = []
  const placements: Array<Placement> = []
  const left: Array<number> = []
  for (const index of pending) {
    const size = lengths[index]!
    let row = used.findIndex((tokens) => tokens + size <= length)
    if (row < 0) {
      if (used.length === maxRows) {
        left.push(index)
        continue
      }
      row = used.push(0) - 1
    }
    placements.push({ index, row, column: used[row]! })
    used[row] = used[row]! + size
  }
  return { microbatch: { rows: nextPowerOfTwo(used.length), length, placements }, left }
}

/**
 * Packs sequences of given lengths into microbatches of at most `maxTokens` tokens; a sequence that is longer gets a
 * microbatch of one row. Rows and lengths are powers of two. Longer sequences are placed first, each in the first row
 * with room. The result is deterministic.
 *
 * @internal
 */
export const pack = (lengths: ReadonlyArray<number>, maxTokens: number): ReadonlyArray<Microbatch> => {
  let pending: ReadonlyArray<number> = lengths
    .map((_, index) => index)
    .sort((a, b) => lengths[b]! - lengths[a]! || a - b)
  const microbatches: Array<Microbatch> = []
  while (pending.length > 0) {
    const { left, microbatch } = fillMicrobatch(lengths, pending, maxTokens)
    microbatches.push(microbatch)
    pending = left
  }
  return microbatches
}

/**
 * The attention mask (rows, length, length) of a microbatch: positions attend within their own sequence, and with a
 * `window` to so many positions of it.
 *
 * @internal
 */
export const attentionMask = (
  { length, placements, rows }: Microbatch,
  lengths: ReadonlyArray<number>,
  window?: number
): Float32Array =>
  causalMask(
    rows,
    length,
    placements.map(({ column, index, row }) => ({ row, column, length: lengths[index]! })),
    window
  )
