/** A list of bounded length: when it is full, it keeps every second item, and takes every second one from then on. */

/** @internal */
export class Thinned<A> {
  readonly #limit: number
  #items: Array<{ readonly at: number; readonly value: A }> = []
  #count = 0
  /** one item in this many is kept */
  every = 1

  constructor(limit: number) {
    this.#limit = limit
  }

  add(value: A): void {
    const at = this.#count++
    if (at % this.every !== 0) return
    this.#items.push({ at, value })
    if (this.#items.length <= this.#limit) return
    this.every *= 2
    this.#items = this.#items.filter((item) => item.at % this.every === 0)
  }

  get values(): ReadonlyArray<A> {
    return this.#items.map(({ value }) => value)
  }
}
