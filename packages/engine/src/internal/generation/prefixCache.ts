/** Remembers the keys and values of prompts and of sequences, so that what begins with the same tokens reuses them. */
import * as kvCache from "../model/kvCache.ts"
import type { RowAdapter } from "../lora/rowAdapter.ts"

/** Tokens that the model has read. @internal */
export interface Prefix {
  readonly tokens: Int32Array
  /** in the row 0 */
  readonly cache: kvCache.KvCache
  /** of the last position; absent if they were not computed */
  readonly lastLogits: Float32Array | undefined
}

interface Entry extends Prefix {
  readonly adapter: RowAdapter
  readonly bytes: number
}

/** How many tokens are compared with at most so many entries for each prompt. */
const maxEntries = 256

/** Shorter common beginnings are read again, which takes about as long as a copy. */
const shortestReuse = 16

const commonLength = (a: Int32Array, b: Int32Array): number => {
  const end = Math.min(a.length, b.length)
  let length = 0
  while (length < end && a[length] === b[length]) length++
  return length
}

/** The first `length` tokens of a prefix are those of the prompt. @internal */
export interface Match {
  readonly prefix: Prefix
  readonly length: number
}

/** The entries, least recently used first. @internal */
export class PrefixCache {
  private entries: ReadonlyArray<Entry> = []
  private readonly maxBytes: number
  /** reused lengths are multiples of this, unless a whole prompt is reused */
  private readonly step: number
  constructor(maxBytes: number, step: number) {
    this.maxBytes = maxBytes
    this.step = step
  }

  /** The bytes of all entries. */
  get bytes(): number {
    return this.entries.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** The longest beginning of a prompt that is known: all of it only with the logits of its last position. */
  find(adapter: RowAdapter, tokens: Int32Array): Match | undefined {
    let best: Match | undefined
    for (const entry of this.entries) {
      if (entry.adapter !== adapter) continue
      const common = commonLength(entry.tokens, tokens)
      const isWhole = common === tokens.length && common === entry.tokens.length && entry.lastLogits !== undefined
      const length = isWhole ? common : Math.floor(Math.min(common, tokens.length - 1) / this.step) * this.step
      const isLonger = length > (best?.length ?? 0)
      if (isWhole || (isLonger && length >= shortestReuse)) best = { prefix: entry, length }
      if (isWhole) break
    }
    if (best !== undefined) this.touch(best.prefix)
    return best
  }

  private touch(prefix: Prefix): void {
    const entry = this.entries.find((other) => other === prefix)!
    this.entries = [...this.entries.filter((other) => other !== entry), entry]
  }

  /** Adds a prefix, in the place of those that it begins with, and forgets what was not used for longest. */
  add(adapter: RowAdapter, prefix: Prefix): void {
    const entry = { ...prefix, adapter, bytes: kvCache.bytesOf(prefix.cache) + (prefix.lastLogits?.byteLength ?? 0) }
    if (entry.bytes > this.maxBytes) return
    const isCovered = ({ adapter: own, lastLogits, tokens }: Entry) =>
      own === adapter &&
      commonLength(tokens, entry.tokens) === tokens.length &&
      (lastLogits === undefined || (tokens.length === entry.tokens.length && entry.lastLogits !== undefined))
    this.entries = [...this.entries.filter((other) => !isCovered(other)), entry].slice(-maxEntries)
    let { bytes } = this
    while (bytes > this.maxBytes) {
      bytes -= this.entries[0]!.bytes
      this.entries = this.entries.slice(1)
    }
  }

  /** Forgets what was read with an adapter that is no longer used. */
  forget(adapter: RowAdapter): void {
    this.entries = this.entries.filter((entry) => entry.adapter !== adapter)
  }
}
