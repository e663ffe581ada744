/** Values of 16 bits, which are widened to float32 where they are used. */
import { halfTable } from "../util/half.ts"

/** Values in bfloat16 or in half precision, by their bits. @internal */
export interface HalfValues {
  readonly bits: Uint16Array
  readonly format: "BF16" | "F16"
}

/** @internal */
export const isHalf = (values: object): values is HalfValues => "bits" in values

/** Writes `out.length` values from the index `first` on. @internal */
export const widenTo = ({ bits, format }: HalfValues, first: number, out: Float32Array): void => {
  if (format === "F16") {
    const values = halfTable()
    for (let i = 0; i < out.length; i++) out[i] = values[bits[first + i]!]!
    return
  }
  // a bfloat16 number is the upper half of a float32 number
  const upper = new Uint32Array(out.buffer, out.byteOffset, out.length)
  for (let i = 0; i < upper.length; i++) upper[i] = bits[first + i]! << 16
}

/** All values. @internal */
export const widen = (values: HalfValues): Float32Array => {
  const out = new Float32Array(values.bits.length)
  widenTo(values, 0, out)
  return out
}

/** A buffer, and whose values it holds. */
interface Buffer {
  readonly values: Float32Array
  owner: HalfValues
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

  of(owner: HalfValues): Float32Array {
    const size = owner.bits.length
    const known = this.buffers.get(size) ?? []
    this.buffers.set(size, known)
    const own = known.find((buffer) => buffer.owner === owner)
    const free = own ?? known.filter(({ lastRun }) => lastRun < this.run).sort((a, b) => a.lastRun - b.lastRun)[0]
    if (free === undefined) {
      const fresh = { values: widen(owner), owner, lastRun: this.run }
      known.push(fresh)
      return fresh.values
    }
    if (free !== own) widenTo(owner, 0, free.values)
    free.owner = owner
    free.lastRun = this.run
    return free.values
  }
}
