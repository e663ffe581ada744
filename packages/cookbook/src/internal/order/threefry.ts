/**
 * Random numbers of Threefry-4x32 with 20 rounds (Salmon et al., 2011): a block cipher whose key is the stream and whose
 * counter is the place in it. Streams of different keys have nothing in common.
 */

const rotations = [
  [10, 26],
  [11, 21],
  [13, 27],
  [23, 5],
  [6, 20],
  [17, 11],
  [25, 10],
  [18, 20]
] as const

const parity = 0x1bd11bda

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits))

/** Four words. @internal */
export type Words = readonly [number, number, number, number]

/** Encrypts a counter. @internal */
export const encrypt = (key: Words, counter: Words): Words => {
  const keys = [...key, parity ^ key[0] ^ key[1] ^ key[2] ^ key[3]]
  let [a, b, c, d] = counter.map((word, i) => (word + keys[i]!) | 0) as unknown as [number, number, number, number]
  for (let round = 0; round < 20; round++) {
    const [first, second] = rotations[round % 8]!
    if (round % 2 === 0) {
      a = (a + b) | 0
      b = rotate(b, first) ^ a
      c = (c + d) | 0
      d = rotate(d, second) ^ c
    } else {
      a = (a + d) | 0
      d = rotate(d, first) ^ a
      c = (c + b) | 0
      b = rotate(b, second) ^ c
    }
    if (round % 4 !== 3) continue
    const injection = (round + 1) / 4
    a = (a + keys[injection % 5]!) | 0
    b = (b + keys[(injection + 1) % 5]!) | 0
    c = (c + keys[(injection + 2) % 5]!) | 0
    d = (d + keys[(injection + 3) % 5]! + injection) | 0
  }
  return [a >>> 0, b >>> 0, c >>> 0, d >>> 0]
}

/** Which stream: two that differ in anything share no number. @internal */
export interface Key {
  /** an integer that JavaScript keeps exactly */
  readonly seed: number
  /** from 0 to 2^32 - 1 */
  readonly epoch: number
  /** from 0 to 2^32 - 1 */
  readonly worker: number
}

const isWord = (value: number): boolean => Number.isInteger(value) && value >= 0 && value < 2 ** 32

/**
 * The key as four words, which differ if anything in it does.
 *
 * @throws RangeError if a number is out of its range.
 */
const wordsOf = ({ epoch, seed, worker }: Key): Words => {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`the seed is ${seed}: give an integer below 2^53`)
  if (!isWord(epoch)) throw new RangeError(`the epoch is ${epoch}: give an integer from 0 to 2^32 - 1`)
  if (!isWord(worker)) throw new RangeError(`the worker is ${worker}: give an integer from 0 to 2^32 - 1`)
  return [seed | 0, Math.floor(seed / 2 ** 32) | 0, epoch | 0, worker | 0]
}

/** The numbers of a stream, from its start. @internal */
export class Numbers {
  private readonly key: Words
  private block: Words = [0, 0, 0, 0]
  private next = 4
  private counter = 0
  constructor(key: Key) {
    this.key = wordsOf(key)
  }
  /** from 0 to 2^32 - 1 */
  word(): number {
    if (this.next === 4) {
      this.block = encrypt(this.key, [this.counter | 0, Math.floor(this.counter / 2 ** 32) | 0, 0, 0])
      this.counter++
      this.next = 0
    }
    return this.block[this.next++]!
  }
  /** An integer from 0 to `bound - 1`, each as likely as the others. The bound is at most 2^32. */
  below(bound: number): number {
    // the words from here on would make some numbers more likely
    const limit = 2 ** 32 - (2 ** 32 % bound)
    let word = this.word()
    while (word >= limit) word = this.word()
    return word % bound
  }
}
