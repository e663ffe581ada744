/**
 * Counter-based random numbers: each depends only on a seed, a stream and an index, so results do not depend on the
 * order of draws. Each word is hashed twice by the 32-bit finalizer of MurmurHash3.
 */

const mix = (value: number): number => {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

/** The 32-bit key of a stream. The seed is any safe integer. @internal */
export const streamKey = (seed: number, stream: string | number): number => {
  const low = seed | 0
  const high = Math.floor(seed / 2 ** 32) | 0
  let hash = mix(mix(low ^ 0x9e3779b9) + mix(high ^ 0x7f4a7c15) + 0x165667b1)
  const text = String(stream)
  for (let i = 0; i < text.length; i++) hash = mix(hash ^ Math.imul(text.charCodeAt(i) + 1, 0x9e3779b1))
  return hash
}

/** The number at an index of a stream: uniform in [0, 1), with 53 random bits. @internal */
export const uniform = (key: number, index: number): number => {
  const high = mix(mix(key ^ Math.imul(index + 1, 0x9e3779b1)) + 0x27d4eb2f)
  const low = mix(high ^ Math.imul(index + 1, 0x85ebca77) ^ key)
  return ((high >>> 0) * 2 ** 21 + (low >>> 11)) / 2 ** 53
}
