/** Bounds how many rows of one table the store in memory keeps of each owner. */

// of each owner in a table, besides rows that are still needed
const maxRows = 10_000

/** @internal */
export class History {
  /** the keys of an owner's rows, the oldest first */
  private readonly keysByOwner = new Map<string, Set<string>>()

  /** Adds a row. Returns the key of the oldest row of its owner that may be dropped, if the owner has too many. */
  add(owner: string, key: string, isDisposable: (key: string) => boolean): string | undefined {
    const keys = this.keysByOwner.get(owner) ?? new Set<string>()
    this.keysByOwner.set(owner, keys)
    keys.add(key)
    if (keys.size <= maxRows) return undefined
    for (const oldest of keys) {
      if (!isDisposable(oldest)) continue
      keys.delete(oldest)
      return oldest
    }
    return undefined
  }
}
