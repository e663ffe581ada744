/** Arrays of numbers that grow without being copied, so that appending never takes long. */

const partLength = 65_536

interface TypedArray {
  [index: number]: number
}

/** @internal */
export class Growable {
  length = 0
  private readonly parts: Array<TypedArray> = []
  private readonly makePart: (length: number) => TypedArray
  constructor(makePart: (length: number) => TypedArray) {
    this.makePart = makePart
  }
  push(value: number): void {
    const at = this.length % partLength
    if (at === 0) this.parts.push(this.makePart(partLength))
    this.parts[this.parts.length - 1]![at] = value
    this.length++
  }
  get(index: number): number {
    return this.parts[Math.floor(index / partLength)]![index % partLength]!
  }
}

/** Exact for integers up to 2^53, such as offsets in files. @internal */
export const float64 = (): Growable => new Growable((length) => new Float64Array(length))

/** @internal */
export const uint32 = (): Growable => new Growable((length) => new Uint32Array(length))

/** @internal */
export const uint8 = (): Growable => new Growable((length) => new Uint8Array(length))
