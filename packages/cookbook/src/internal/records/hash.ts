/**
 * Hashes of records, to find those that are the same: two lanes of Murmur3, of which 53 bits are kept. The order of keys
 * does not count. It is no defence against who wants two records to have the same hash.
 */
import * as Json from "@effect-tinker/tokenizers/Json"

/** Mixes 32-bit words into two lanes. */
class Hasher {
  private a: number
  private b: number
  private words = 0
  constructor(seed: number) {
    this.a = seed
    this.b = seed ^ 0x5bd1e995
  }
  word(value: number): void {
    const k = Math.imul(value, 0xcc9e2d51)
    const mixed = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
    const a = this.a ^ mixed
    this.a = (Math.imul((a << 13) | (a >>> 19), 5) + 0xe6546b64) | 0
    const l = Math.imul(value, 0x239b961b)
    const other = Math.imul((l << 16) | (l >>> 16), 0xab0e9789)
    const b = this.b ^ other
    this.b = (Math.imul((b << 19) | (b >>> 13), 5) + 0x561ccd1b + this.a) | 0
    this.words++
  }
  text(value: string): void {
    this.word(value.length)
    const even = value.length & ~1
    for (let i = 0; i < even; i += 2) this.word(value.charCodeAt(i) | (value.charCodeAt(i + 1) << 16))
    if (even < value.length) this.word(value.charCodeAt(even))
  }
  /** The lanes, each of 32 bits. */
  lanes(): readonly [number, number] {
    const a = finish(this.a ^ this.words)
    return [a, finish(this.b ^ a)]
  }
}

const finish = (lane: number): number => {
  const first = Math.imul(lane ^ (lane >>> 16), 0x85ebca6b)
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2ae35)
  return (second ^ (second >>> 16)) >>> 0
}

const tags = { null: 1, false: 2, true: 3, number: 4, string: 5, array: 6, object: 7, bytes: 8 } as const

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Adds a typed array without making a text of each number. */
const addNumbers = (hasher: Hasher, { buffer, byteLength, byteOffset }: ArrayBufferView): void => {
  const bytes = new DataView(buffer, byteOffset, byteLength)
  hasher.word(tags.bytes)
  hasher.word(byteLength)
  const even = byteLength & ~3
  for (let i = 0; i < even; i += 4) hasher.word(bytes.getInt32(i, true))
  for (let i = even; i < byteLength; i++) hasher.word(bytes.getUint8(i))
}

const add = (hasher: Hasher, value: unknown): void => {
  if (value === null || value === undefined) return hasher.word(tags.null)
  if (typeof value === "boolean") return hasher.word(value ? tags.true : tags.false)
  if (typeof value === "string") {
    hasher.word(tags.string)
    return hasher.text(value)
  }
  if (Array.isArray(value)) {
    hasher.word(tags.array)
    hasher.word(value.length)
    for (const each of value) add(hasher, each)
    return
  }
  if (ArrayBuffer.isView(value)) return addNumbers(hasher, value)
  if (typeof value === "object" && !(value instanceof Json.Numeral)) {
    const entries = Object.entries(value).filter(([, each]) => each !== undefined)
    hasher.word(tags.object)
    hasher.word(entries.length)
    for (const [key, each] of entries.sort(([a], [b]) => compare(a, b))) {
      hasher.text(key)
      add(hasher, each)
    }
    return
  }
  hasher.word(tags.number)
  hasher.text(String(value))
}

/** An integer below 2^53. @internal */
export const hashOf = (value: unknown): number => {
  const hasher = new Hasher(0x9747b28c)
  add(hasher, value)
  const [high, low] = hasher.lanes()
  return (high & 0x1fffff) * 0x100000000 + low
}

/** Hashes integers below 2^53 in their order into 16 hexadecimal digits. @internal */
export class Fingerprint {
  private readonly hasher = new Hasher(0x27d4eb2f)
  add(value: number): void {
    this.hasher.word(Math.floor(value / 0x100000000))
    this.hasher.word(value | 0)
  }
  addText(value: string): void {
    this.hasher.text(value)
  }
  toString(): string {
    return this.hasher
      .lanes()
      .map((lane) => lane.toString(16).padStart(8, "0"))
      .join("")
  }
}
