/**
 * Merges the symbols of one word: always the pair of the lowest rank, the leftmost of equals. A heap finds it, so that the
 * time is n log n also for vocabularies without words, whose texts are one word from end to end.
 */
import type { Merges } from "./merges.ts"

/** Ranks and places fit together into the 53 bits of a number. */
const placeBits = 2 ** 31

/** @internal */
export class MergeRun {
  readonly #merges: Merges
  readonly #ids: Int32Array
  readonly #previous: Int32Array
  readonly #next: Int32Array
  /** rank and place of pairs that merge, as a binary heap; pairs that are gone are skipped when they come up */
  #heap: Float64Array
  #size = 0

  constructor(ids: ArrayLike<number>, merges: Merges) {
    const count = ids.length
    this.#merges = merges
    this.#ids = Int32Array.from(ids)
    this.#previous = new Int32Array(count)
    this.#next = new Int32Array(count)
    for (let i = 0; i < count; i++) {
      this.#previous[i] = i - 1
      this.#next[i] = i + 1 < count ? i + 1 : -1
    }
    this.#heap = new Float64Array(count + 16)
  }

  /** Finds the pairs that merge, in steps; to be run once, first. */
  *prepare(countOfStep: number): Generator<void, void> {
    for (let i = 0; i + 1 < this.#ids.length; i++) {
      this.#push(i, false)
      if (i % countOfStep === countOfStep - 1) yield
    }
    for (let i = (this.#size >> 1) - 1; i >= 0; i--) {
      this.#sink(i)
      if (i % countOfStep === countOfStep - 1) yield
    }
  }

  #push(place: number, isHeap: boolean): void {
    const next = this.#next[place]!
    if (next === -1) return
    const rank = this.#merges.rank(this.#ids[place]!, this.#ids[next]!)
    if (rank === -1) return
    if (this.#size === this.#heap.length) {
      const larger = new Float64Array(this.#heap.length * 2)
      larger.set(this.#heap)
      this.#heap = larger
    }
    this.#heap[this.#size++] = rank * placeBits + place
    if (isHeap) this.#rise(this.#size - 1)
  }

  #rise(start: number): void {
    const heap = this.#heap
    const value = heap[start]!
    let at = start
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]! <= value) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = value
  }

  #sink(start: number): void {
    const heap = this.#heap
    const value = heap[start]!
    let at = start
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.#size) break
      if (child + 1 < this.#size && heap[child + 1]! < heap[child]!) child++
      if (heap[child]! >= value) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = value
  }

  #pop(): number {
    const top = this.#heap[0]!
    this.#size--
    if (this.#size > 0) {
      this.#heap[0] = this.#heap[this.#size]!
      this.#sink(0)
    }
    return top
  }

  /** Does some of the merges; false when none is left. */
  step(count: number): boolean {
    for (let done = 0; done < count; done++) {
      if (this.#size === 0) return false
      const top = this.#pop()
      const rank = Math.floor(top / placeBits)
      this.#merge(top - rank * placeBits, rank)
    }
    return this.#size > 0
  }

  #merge(place: number, rank: number): void {
    const left = this.#ids[place]!
    const after = this.#next[place]!
    if (left === -1 || after === -1) return
    const right = this.#ids[after]!
    if (this.#merges.rank(left, right) !== rank) return
    this.#ids[place] = this.#merges.merged(left, right)
    this.#ids[after] = -1
    const next = this.#next[after]!
    this.#next[place] = next
    if (next !== -1) this.#previous[next] = place
    this.#push(place, true)
    const before = this.#previous[place]!
    if (before !== -1) this.#push(before, true)
  }

  /** appends what is left */
  collect(out: Array<number>): void {
    for (let at = 0; at !== -1; at = this.#next[at]!) out.push(this.#ids[at]!)
  }
}
