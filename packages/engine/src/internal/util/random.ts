/**
 * Numbers from counters: the value at `(seed, stream, index)` depends on these three alone, so that a sequence can be
 * entered anywhere and does not depend on what else is drawn. Two rounds of a 32-bit finalizer (MurmurHash3's) per word.
 */

const mix = (value: number): number => {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

/** A 32-bit key of a seed, any safe integer, and a stream's name or number. @internal */
export const key = (seed: number, stream: string | number): number => {
  const low = seed | 0
  const high = Math.floor(seed / 2 ** 32) | 0
  let hash = mix(mix(low ^ 0x9e3779b9) + mix(high ^ 0x7f4a7c15) + 0x165667b1)
  const text = String(stream)
  for (let i = 0; i < text.length; i++) hash = mix(hash ^ Math.imul(text.charCodeAt(i) + 1, 0x9e3779b1))
  return hash
}

/** The number at a place of a stream, uniform in [0, 1), with 53 random bits. @internal */
export const uniform = (key: number, index: number): number => {
  const high = mix(mix(key ^ Math.imul(index + 1, 0x9e3779b1)) + 0x27d4eb2f)
  const low = mix(high ^ Math.imul(index + 1, 0x85ebca77) ^ key)
  return ((high >>> 0) * 2 ** 21 + (low >>> 11)) / 2 ** 53
}
