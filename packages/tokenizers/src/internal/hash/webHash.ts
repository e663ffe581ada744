/** Incremental SHA hashes in plain JavaScript, for runtimes without Node: `crypto.subtle` needs all bytes at once. */
import type { Algorithm, MakeHash } from "./model.ts"

const blockLength = 64

interface State {
  readonly words: Uint32Array
  /** the expanded block */
  readonly schedule: Uint32Array
}

type Compress = (state: State, view: DataView, offset: number) => void

const rotateLeft = (x: number, n: number) => (x << n) | (x >>> (32 - n))
const rotateRight = (x: number, n: number) => (x >>> n) | (x << (32 - n))

const firstPrimes = (count: number): ReadonlyArray<number> => {
  const primes: Array<number> = []
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  return primes
}

/** The first 32 bits of the fractional part of the cube root of each of the first 64 primes (FIPS 180-4). */
const sha256Constants = Uint32Array.from(firstPrimes(64), (prime) => (Math.cbrt(prime) % 1) * 2 ** 32)

const compressSha256: Compress = ({ schedule: w, words }, view, offset) => {
  for (let i = 0; i < 16; i++) w[i] = view.getUint32(offset + 4 * i)
  for (let i = 16; i < 64; i++) {
    const [x, y] = [w[i - 15]!, w[i - 2]!]
    const s0 = rotateRight(x, 7) ^ rotateRight(x, 18) ^ (x >>> 3)
    const s1 = rotateRight(y, 17) ^ rotateRight(y, 19) ^ (y >>> 10)
    w[i] = w[i - 16]! + s0 + w[i - 7]! + s1
  }
  let [a, b, c, d, e, f, g, h] = words as unknown as [number, number, number, number, number, number, number, number]
  for (let i = 0; i < 64; i++) {
    const s1 = rotateRight(e, 6) ^ rotateRight(e, 11) ^ rotateRight(e, 25)
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + sha256Constants[i]! + w[i]!) | 0
    const s0 = rotateRight(a, 2) ^ rotateRight(a, 13) ^ rotateRight(a, 22)
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    ;[h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0]
  }
  ;[a, b, c, d, e, f, g, h].forEach((word, i) => (words[i]! += word))
}

const sha1Round = (round: number, b: number, c: number, d: number): number => {
  if (round === 0) return ((b & c) | (~b & d)) + 0x5a827999
  if (round === 2) return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
  return (b ^ c ^ d) + (round === 1 ? 0x6ed9eba1 : 0xca62c1d6)
}

const compressSha1: Compress = ({ schedule: w, words }, view, offset) => {
  for (let i = 0; i < 16; i++) w[i] = view.getUint32(offset + 4 * i)
  for (let i = 16; i < 80; i++) w[i] = rotateLeft(w[i - 3]! ^ w[i - 8]! ^ w[i - 14]! ^ w[i - 16]!, 1)
  let [a, b, c, d, e] = words as unknown as [number, number, number, number, number]
  for (let i = 0; i < 80; i++) {
    const t = (rotateLeft(a, 5) + sha1Round(Math.floor(i / 20), b, c, d) + e + w[i]!) | 0
    ;[e, d, c, b, a] = [d, c, rotateLeft(b, 30), a, t]
  }
  ;[a, b, c, d, e].forEach((word, i) => (words[i]! += word))
}

const initialWords: { readonly [algorithm in Algorithm]: ReadonlyArray<number> } = {
  sha1: [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0],
  sha256: [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19]
}

const compressions: { readonly [algorithm in Algorithm]: Compress } = { sha1: compressSha1, sha256: compressSha256 }

const hex = (words: Uint32Array) => Array.from(words, (word) => word.toString(16).padStart(8, "0")).join("")

/** The bit 1, zeros, and the length in bits: what follows the last bytes, up to the end of a block. */
const padding = (length: number): Uint8Array => {
  const zeros = (2 * blockLength - 9 - (length % blockLength)) % blockLength
  const bytes = new Uint8Array(zeros + 9)
  bytes[0] = 0x80
  new DataView(bytes.buffer).setBigUint64(zeros + 1, BigInt(length) * 8n)
  return bytes
}

/** @internal */
export const make: MakeHash = (algorithm) => {
  const compress = compressions[algorithm]
  const state: State = { words: Uint32Array.from(initialWords[algorithm]), schedule: new Uint32Array(80) }
  const pending = new Uint8Array(blockLength)
  const pendingView = new DataView(pending.buffer)
  let length = 0
  const update = (bytes: Uint8Array): void => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = 0
    while (at < bytes.length) {
      const filled = length % blockLength
      if (filled === 0 && bytes.length - at >= blockLength) {
        compress(state, view, at)
        at += blockLength
        length += blockLength
        continue
      }
      const count = Math.min(blockLength - filled, bytes.length - at)
      pending.set(bytes.subarray(at, at + count), filled)
      at += count
      length += count
      if (length % blockLength === 0) compress(state, pendingView, 0)
    }
  }
  return {
    update,
    digest: () => {
      update(padding(length))
      return hex(state.words)
    }
  }
}
