/** Values as their file has them, in 16 bits or fewer, which are widened to float32 where they are used. */
import { halfTable } from "../util/half.ts"

/** Values whose widening is exact: float32 has all of them. @internal */
export interface PackedValues {
  /** how many there are */
  readonly length: number
  /** how many bytes they take */
  readonly bytes: number
  /** Writes `out.length` values from the index `first` on. Both are multiples of the size of a row. */
  readonly widenTo: (first: number, out: Float32Array) => void
  /** The values from an index to another, in the same memory. Both are multiples of the size of a row. */
  readonly slice: (from: number, to: number) => PackedValues
}

/** @internal */
export const isPacked = (values: object): values is PackedValues => "widenTo" in values

/** Values in bfloat16 or in half precision, by their bits. @internal */
export const halfValues = (bits: Uint16Array, format: "BF16" | "F16"): PackedValues => ({
  length: bits.length,
  bytes: bits.byteLength,
  widenTo: (first, out) => (format === "F16" ? widenHalves : widenBrains)(bits, first, out),
  slice: (from, to) => halfValues(bits.subarray(from, to), format)
})

const widenHalves = (bits: Uint16Array, first: number, out: Float32Array): void => {
  const values = halfTable()
  for (let i = 0; i < out.length; i++) out[i] = values[bits[first + i]!]!
}

/** A bfloat16 number is the upper half of a float32 number. */
const widenBrains = (bits: Uint16Array, first: number, out: Float32Array): void => {
  const upper = new Uint32Array(out.buffer, out.byteOffset, out.length)
  for (let i = 0; i < upper.length; i++) upper[i] = bits[first + i]! << 16
}

/** All values. @internal */
export const widen = (values: PackedValues): Float32Array => {
  const out = new Float32Array(values.length)
  values.widenTo(0, out)
  return out
}

/** A buffer, and whose values it holds. */
interface Buffer {
  readonly values: Float32Array
  owner: PackedValues
  lastRun: number
}

/**
 * Widened values for the inputs of runs. Buffers are used again by later runs, those of the same tensor as they are: there
 * are as many as the largest run needs.
 *
 * @internal
 */
export class WidenedValues {
  private readonly buffers = new Map<number, Array<Buffer>>()
  private run = 0

  /** Values that were handed out before may be overwritten from here on. */
  begin(): void {
    this.run++
  }

  of(owner: PackedValues): Float32Array {
    const size = owner.length
    const known = this.buffers.get(size) ?? []
    this.buffers.set(size, known)
    const own = known.find((buffer) => buffer.owner === owner)
    const free = own ?? known.filter(({ lastRun }) => lastRun < this.run).sort((a, b) => a.lastRun - b.lastRun)[0]
    if (free === undefined) {
      const fresh = { values: widen(owner), owner, lastRun: this.run }
      known.push(fresh)
      return fresh.values
    }
    if (free !== own) owner.widenTo(0, free.values)
    free.owner = owner
    free.lastRun = this.run
    return free.values
  }
}
