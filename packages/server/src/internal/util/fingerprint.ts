/** Hashes decoded requests, to distinguish a retry from another request with the same `seq_id`. */

const scratch = new DataView(new ArrayBuffer(8))

/** A hash of 64 bits, which is not cryptographic: two words that are mixed as in MurmurHash3. */
class Hasher {
  private a = 0x9e3779b9
  private b = 0x85ebca6b

  word(n: number): void {
    const { a, b } = this
    const mixed = Math.imul(a ^ n, 0xcc9e2d51)
    this.a = (mixed << 13) | (mixed >>> 19)
    const sum = Math.imul(b ^ n, 0x1b873593) + this.a
    this.b = (sum << 17) | (sum >>> 15)
  }

  number(n: number): void {
    scratch.setFloat64(0, n)
    this.word(scratch.getInt32(0))
    this.word(scratch.getInt32(4))
  }

  text(s: string): void {
    this.word(s.length)
    for (let i = 0; i < s.length; i++) this.word(s.charCodeAt(i))
  }

  bytes(view: ArrayBufferView): void {
    this.word(view.byteLength)
    const words = view.byteLength >> 2
    if (view.byteOffset % 4 === 0) {
      const aligned = new Int32Array(view.buffer, view.byteOffset, words)
      for (let i = 0; i < words; i++) this.word(aligned[i]!)
    } else {
      const data = new DataView(view.buffer, view.byteOffset)
      for (let i = 0; i < words; i++) this.word(data.getInt32(i * 4, true))
    }
    const rest = new Uint8Array(view.buffer, view.byteOffset + words * 4, view.byteLength - words * 4)
    for (const byte of rest) this.word(byte)
  }

  digest(): string {
    return `${(this.a >>> 0).toString(16)}.${(this.b >>> 0).toString(16)}`
  }
}

const addObject = (hasher: Hasher, fields: { readonly [key: string]: unknown }): void => {
  hasher.word(8)
  for (const key of Object.keys(fields).sort()) {
    if (fields[key] === undefined) continue
    hasher.text(key)
    add(hasher, fields[key])
  }
  hasher.word(9)
}

/** Adds a value. A word before it distinguishes the types of values. */
const add = (hasher: Hasher, u: unknown): void => {
  switch (typeof u) {
    case "string":
      hasher.word(1)
      return hasher.text(u)
    case "number":
      hasher.word(2)
      return hasher.number(u)
    case "boolean":
      return hasher.word(u ? 3 : 4)
    case "object":
      if (u === null) return hasher.word(5)
      if (ArrayBuffer.isView(u)) {
        hasher.word(6)
        return hasher.bytes(u)
      }
      if (Array.isArray(u)) {
        hasher.word(7)
        hasher.word(u.length)
        for (const item of u) add(hasher, item)
        return
      }
      return addObject(hasher, u as { readonly [key: string]: unknown })
    default:
      return hasher.text(String(u))
  }
}

/**
 * The fingerprint of a value. The order of keys does not matter, nor does it whether a field is absent or `undefined`.
 * Typed arrays are hashed by their bytes.
 *
 * @internal
 */
export const of = (value: unknown): string => {
  const hasher = new Hasher()
  add(hasher, value)
  return hasher.digest()
}
