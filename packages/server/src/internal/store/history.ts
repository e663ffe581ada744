/** Bounds how many rows of one table the store in memory keeps of each owner. */

/** How many rows of each owner a table has at most, besides those that are still needed. @internal */
export const maxRowsByDefault = 10_000

/** @internal */
export class History {
  /** the keys of an owner's rows, the oldest first */
  private readonly keysByOwner = new Map<string, Set<string>>()
  private readonly maxRows: number

  constructor(maxRows: number) {
    this.maxRows = maxRows
  }

  /** Adds a row. Returns the key of the oldest row of its owner that may be dropped, if the owner has too many. */
  add(owner: string, key: string, isDisposable: (key: string) => boolean): string | undefined {
    const keys = this.keysByOwner.get(owner) ?? new Set<string>()
    this.keysByOwner.set(owner, keys)
    keys.add(key)
    if (keys.size <= this.maxRows) return undefined
    for (const oldest of keys) {
      if (!isDisposable(oldest)) continue
      keys.delete(oldest)
      return oldest
    }
    return undefined
  }
}
