/**
 * XXH64 with seed 0, the checksum of zstd frames, of which they keep the low half. A 64-bit number is a pair of 32-bit
 * halves here, since BigInt is many times slower.
 */

/** Low half, high half. */
type U64 = Uint32Array

const u64 = (high: number, low: number): U64 => Uint32Array.of(low, high)

const prime1 = u64(0x9e3779b1, 0x85ebca87)
const prime2 = u64(0xc2b2ae3d, 0x27d4eb4f)
const prime3 = u64(0x165667b1, 0x9e3779f9)
const prime4 = u64(0x85ebca77, 0xc2b2ae63)
const prime5 = u64(0x27d4eb2f, 0x165667c5)

const add = (a: U64, low: number, high: number): void => {
  const sum = a[0]! + low
  a[1] = a[1]! + high + (sum > 0xffffffff ? 1 : 0)
  a[0] = sum
}

const multiply = (a: U64, b: U64): void => {
  const [low, high] = [a[0]!, a[1]!]
  const [a0, a1, b0, b1] = [low & 0xffff, low >>> 16, b[0]! & 0xffff, b[0]! >>> 16]
  const middle = a0 * b1 + (a0 * b0) / 0x10000 // below 2^33, with a fraction
  const carried = a1 * b0 + Math.floor(middle)
  const top = a1 * b1 + Math.floor(carried / 0x10000)
  a[0] = Math.imul(low, b[0]!)
  a[1] = top + Math.imul(high, b[0]!) + Math.imul(low, b[1]!)
}

const rotate = (a: U64, bits: number): void => {
  const [low, high] = bits >= 32 ? [a[1]!, a[0]!] : [a[0]!, a[1]!]
  const by = bits & 31
  if (by === 0) {
    a[0] = low
    a[1] = high
    return
  }
  a[0] = (low << by) | (high >>> (32 - by))
  a[1] = (high << by) | (low >>> (32 - by))
}

const shiftXor = (a: U64, bits: number): void => {
  const [low, high] = [a[0]!, a[1]!]
  if (bits >= 32) {
    a[0] = low ^ (high >>> (bits - 32))
    return
  }
  a[0] = low ^ ((low >>> bits) | (high << (32 - bits)))
  a[1] = high ^ (high >>> bits)
}

/** Mixes eight bytes into a lane. */
const round = (lane: U64, low: number, high: number): void => {
  const product = u64(high, low)
  multiply(product, prime2)
  add(lane, product[0]!, product[1]!)
  rotate(lane, 31)
  multiply(lane, prime1)
}

const xor = (a: U64, b: U64): void => {
  a[0] = a[0]! ^ b[0]!
  a[1] = a[1]! ^ b[1]!
}

const mergeLane = (hash: U64, lane: U64): void => {
  const mixed = u64(0, 0)
  round(mixed, lane[0]!, lane[1]!)
  xor(hash, mixed)
  multiply(hash, prime1)
  add(hash, prime4[0]!, prime4[1]!)
}

const read32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0

/** The first value of each lane. */
const initialLanes = (): ReadonlyArray<U64> => {
  const first = prime1.slice()
  add(first, prime2[0]!, prime2[1]!)
  const last = u64(0, 0)
  add(last, ~prime1[0]! >>> 0, ~prime1[1]! >>> 0)
  add(last, 1, 0)
  return [first, prime2.slice(), u64(0, 0), last]
}

/** @internal */
export class Xxh64 {
  private readonly lanes = initialLanes()
  private readonly stripe = new Uint8Array(32)
  private stripeLength = 0
  private total = 0

  update(bytes: Uint8Array): void {
    this.total += bytes.length
    let at = 0
    if (this.stripeLength > 0) {
      at = Math.min(32 - this.stripeLength, bytes.length)
      this.stripe.set(bytes.subarray(0, at), this.stripeLength)
      this.stripeLength += at
      if (this.stripeLength < 32) return
      this.consume(this.stripe, 0)
      this.stripeLength = 0
    }
    for (; at + 32 <= bytes.length; at += 32) this.consume(bytes, at)
    this.stripe.set(bytes.subarray(at), 0)
    this.stripeLength = bytes.length - at
  }

  private consume(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < 4; i++) round(this.lanes[i]!, read32(bytes, at + 8 * i), read32(bytes, at + 8 * i + 4))
  }

  /** The low half of the hash of all bytes. */
  digestLow(): number {
    const hash = this.total >= 32 ? this.mergeLanes() : prime5.slice()
    add(hash, this.total >>> 0, Math.floor(this.total / 0x100000000))
    this.finishStripe(hash)
    shiftXor(hash, 33)
    multiply(hash, prime2)
    shiftXor(hash, 29)
    multiply(hash, prime3)
    shiftXor(hash, 32)
    return hash[0]!
  }

  private mergeLanes(): U64 {
    const hash = u64(0, 0)
    for (const [i, lane] of this.lanes.entries()) {
      const turned = lane.slice()
      rotate(turned, [1, 7, 12, 18][i]!)
      add(hash, turned[0]!, turned[1]!)
    }
    for (const lane of this.lanes) mergeLane(hash, lane)
    return hash
  }

  /** Mixes in the bytes after the last stripe of 32. */
  private finishStripe(hash: U64): void {
    const { stripe, stripeLength: length } = this
    let at = 0
    for (; at + 8 <= length; at += 8) {
      const mixed = u64(0, 0)
      round(mixed, read32(stripe, at), read32(stripe, at + 4))
      xor(hash, mixed)
      rotate(hash, 27)
      multiply(hash, prime1)
      add(hash, prime4[0]!, prime4[1]!)
    }
    if (at + 4 <= length) {
      const product = u64(0, read32(stripe, at))
      multiply(product, prime1)
      xor(hash, product)
      rotate(hash, 23)
      multiply(hash, prime2)
      add(hash, prime3[0]!, prime3[1]!)
      at += 4
    }
    for (; at < length; at++) {
      const product = u64(0, stripe[at]!)
      multiply(product, prime5)
      xor(hash, product)
      rotate(hash, 11)
      multiply(hash, prime1)
    }
  }
}
