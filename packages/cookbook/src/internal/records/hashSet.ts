/** Sets of hashes in bounded memory: some 16 bytes each. They grow in parts, so that adding one never takes long. */

const shards = 256

class Shard {
  private slots = new Float64Array(16).fill(-1)
  private size = 0
  add(hash: number, slot: number): boolean {
    if (this.size * 4 >= this.slots.length * 3) this.grow()
    const at = this.find(hash, slot)
    if (this.slots[at] === hash) return false
    this.slots[at] = hash
    this.size++
    return true
  }
  has(hash: number, slot: number): boolean {
    return this.slots[this.find(hash, slot)] === hash
  }
  /** The slot that holds the hash, or is free for it. */
  private find(hash: number, slot: number): number {
    const mask = this.slots.length - 1
    let at = slot & mask
    while (this.slots[at] !== -1 && this.slots[at] !== hash) at = (at + 1) & mask
    return at
  }
  private grow(): void {
    const before = this.slots
    this.slots = new Float64Array(before.length * 2).fill(-1)
    for (const hash of before) if (hash !== -1) this.slots[this.find(hash, slotOf(hash))] = hash
  }
}

const slotOf = (hash: number): number => Math.floor(hash / shards) | 0

/** A set of integers from 0 to 2^53, which are hashes already. @internal */
export class HashSet {
  private readonly parts = Array.from({ length: shards }, () => new Shard())
  /** Whether the hash is new. */
  add(hash: number): boolean {
    return this.parts[hash % shards]!.add(hash, slotOf(hash))
  }
  has(hash: number): boolean {
    return this.parts[hash % shards]!.has(hash, slotOf(hash))
  }
}
