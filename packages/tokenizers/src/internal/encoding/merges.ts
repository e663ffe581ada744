/** The merges of a BPE vocabulary: which two tokens become one, and in which order. */

/** A table of pairs of ids in typed arrays: a Map of half a million entries takes five times the memory. @internal */
export class Merges {
  readonly #left: Int32Array
  readonly #right: Int32Array
  readonly #rank: Int32Array
  readonly #merged: Int32Array
  readonly #mask: number

  constructor(count: number) {
    let size = 16
    while (size < count * 2) size *= 2
    this.#mask = size - 1
    this.#left = new Int32Array(size).fill(-1)
    this.#right = new Int32Array(size)
    this.#rank = new Int32Array(size)
    this.#merged = new Int32Array(size)
  }

  #slot(left: number, right: number): number {
    let at = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0
    at = (at ^ (at >>> 15)) & this.#mask
    while (this.#left[at] !== -1 && (this.#left[at] !== left || this.#right[at] !== right)) at = (at + 1) & this.#mask
    return at
  }

  set(left: number, right: number, rank: number, merged: number): void {
    const at = this.#slot(left, right)
    this.#left[at] = left
    this.#right[at] = right
    this.#rank[at] = rank
    this.#merged[at] = merged
  }

  /** the rank of a pair, or -1 */
  rank(left: number, right: number): number {
    const at = this.#slot(left, right)
    return this.#left[at] === -1 ? -1 : this.#rank[at]!
  }

  /** what a pair becomes, which must be one that merges */
  merged(left: number, right: number): number {
    return this.#merged[this.#slot(left, right)]!
  }
}
