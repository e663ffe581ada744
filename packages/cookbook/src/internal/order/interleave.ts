/** In which order the rows of several sources follow each other in an epoch of their mix. */

/** @internal */
export interface Plan {
  readonly size: number
  /** how many rows an epoch takes of each source */
  readonly counts: ReadonlyArray<number>
  /** the source of a row of the epoch, and how many rows of that source precede it */
  readonly at: (position: number) => { readonly source: number; readonly index: number }
}

/** How many rows lie between the places at which the numbers of rows so far are kept: these take less than the rows. */
const blockSizeOf = (sources: number): number => Math.max(128, 4 * sources)

/** The largest epoch of a mix. */
const maxSize = 2 ** 28

/** The source that is most behind its share; the first of those that are equal. */
const mostBehind = (
  shares: ReadonlyArray<number>,
  taken: ReadonlyArray<number>,
  rows: number,
  isOpen: (source: number) => boolean
): number => {
  let best = -1
  let most = Number.NEGATIVE_INFINITY
  for (const [source, share] of shares.entries()) {
    const behind = share * rows - taken[source]!
    if (isOpen(source) && behind > most) [best, most] = [source, behind]
  }
  return best
}

/** The most rows of an epoch, which ends with the slowest source if sources repeat. */
const epochSize = (sizes: ReadonlyArray<number>, shares: ReadonlyArray<number>, repeats: boolean): number => {
  const size = repeats
    ? Math.max(...sizes.map((rows, source) => (rows + sizes.length) / shares[source]!))
    : sizes.reduce((sum, rows) => sum + rows, 0)
  if (size > maxSize) {
    throw new RangeError(`an epoch of the mix would take some ${Math.ceil(size)} rows: give small sources more weight`)
  }
  return size
}

/**
 * Interleaves sources evenly by their weights, which are above 0: as long as no source has ended, each is less than one
 * row per other source away from its share. With `repeats` a source begins again when it has ended, and the epoch ends
 * when all have ended once; without, each row comes once.
 *
 * @throws RangeError if an epoch would be too large.
 * @internal
 */
export const plan = (sizes: ReadonlyArray<number>, weights: ReadonlyArray<number>, repeats: boolean): Plan => {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const shares = weights.map((weight) => weight / total)
  const most = epochSize(sizes, shares, repeats)
  const choices = new Uint16Array(Math.ceil(most))
  const taken = sizes.map(() => 0)
  const blockSize = blockSizeOf(sizes.length)
  const blocks: Array<ReadonlyArray<number>> = []
  const isOpen = (source: number): boolean => repeats || taken[source]! < sizes[source]!
  let size = 0
  for (let open = sizes.length; open > 0; size++) {
    if (size % blockSize === 0) blocks.push(taken.slice())
    const source = mostBehind(shares, taken, size + 1, isOpen)
    choices[size] = source
    taken[source]!++
    if (taken[source] === sizes[source]) open--
  }
  const at = (position: number) => {
    const block = Math.floor(position / blockSize)
    const source = choices[position]!
    let index = blocks[block]![source]!
    for (let i = block * blockSize; i < position; i++) if (choices[i] === source) index++
    return { source, index }
  }
  return { size, counts: taken, at }
}
