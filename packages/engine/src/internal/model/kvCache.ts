/** The KV cache: keys and values of the positions that sequences in generation have read so far. */
import type { ModelConfig } from "../../ModelConfig.ts"

/**
 * Keys and values of several sequences. Each layer has an array (rows, num_kv_heads, capacity,
 * head_dim) of each.
 *
 * @internal
 */
export interface KvCache {
  readonly rows: number
  readonly capacity: number
  readonly keys: ReadonlyArray<Float32Array>
  readonly values: ReadonlyArray<Float32Array>
}

/** A cache of zeros. @internal */
export const make = (config: ModelConfig, rows: number, capacity: number): KvCache => {
  const size = rows * config.num_kv_heads * capacity * config.head_dim
  const layers = () => Array.from({ length: config.num_layers }, () => new Float32Array(size))
  return { rows, capacity, keys: layers(), values: layers() }
}

/**
 * Caches that are not in use. Reusing them avoids large allocations, each of which brings the next garbage collection
 * closer. They are held by weak references, so the memory can be reclaimed.
 *
 * @internal
 */
export interface Pool {
  /** A cache of zeros. */
  readonly acquire: (config: ModelConfig, rows: number, capacity: number) => KvCache
  readonly release: (cache: KvCache) => void
}

/** @internal */
export const makePool = (): Pool => {
  const idle = new Map<string, WeakRef<KvCache>>()
  const keyOf = (rows: number, capacity: number) => `${rows} ${capacity}`
  return {
    acquire: (config, rows, capacity) => {
      const key = keyOf(rows, capacity)
      const found = idle.get(key)?.deref()
      if (found === undefined) return make(config, rows, capacity)
      idle.delete(key)
      for (const data of [...found.keys, ...found.values]) data.fill(0)
      return found
    },
    release: (cache) => {
      idle.set(keyOf(cache.rows, cache.capacity), new WeakRef(cache))
    }
  }
}

/** Copies `count` positions of one layer, (positions, heads, head_dim) in `source`, to one row of a cache. */
const writeLayer = (
  config: ModelConfig,
  target: Float32Array,
  capacity: number,
  to: { readonly row: number; readonly position: number },
  source: Float32Array,
  from: number,
  count: number
): void => {
  const { head_dim, num_kv_heads } = config
  for (let position = 0; position < count; position++) {
    for (let head = 0; head < num_kv_heads; head++) {
      const start = ((from + position) * num_kv_heads + head) * head_dim
      const place = ((to.row * num_kv_heads + head) * capacity + to.position + position) * head_dim
      // for so few values, a loop is faster than a subarray
      for (let i = 0; i < head_dim; i++) target[place + i] = source[start + i]!
    }
  }
}

/**
 * Appends new keys and values to one row of a cache. `fresh` holds them as programs return them: for each layer keys,
 * then values, (positions, num_kv_heads, head_dim). Copies `count` positions, from the position `from` of `fresh` on.
 *
 * @internal
 */
export const write = (
  config: ModelConfig,
  cache: KvCache,
  to: { readonly row: number; readonly position: number },
  fresh: ReadonlyArray<Float32Array>,
  from: number,
  count: number
): void => {
  for (let layer = 0; layer < config.num_layers; layer++) {
    writeLayer(config, cache.keys[layer]!, cache.capacity, to, fresh[2 * layer]!, from, count)
    writeLayer(config, cache.values[layer]!, cache.capacity, to, fresh[2 * layer + 1]!, from, count)
  }
}

/** A row of a cache. @internal */
export interface CacheRow {
  readonly cache: KvCache
  readonly row: number
}

/** Copies the first `length` positions of a row to another row, of the same cache or of another one. @internal */
export const copyRow = (config: ModelConfig, source: CacheRow, length: number, target: CacheRow): void => {
  const { head_dim, num_kv_heads } = config
  const copyLayer = (from: Float32Array, to: Float32Array) => {
    for (let head = 0; head < num_kv_heads; head++) {
      const start = (source.row * num_kv_heads + head) * source.cache.capacity * head_dim
      const place = (target.row * num_kv_heads + head) * target.cache.capacity * head_dim
      to.set(from.subarray(start, start + length * head_dim), place)
    }
  }
  for (let layer = 0; layer < config.num_layers; layer++) {
    copyLayer(source.cache.keys[layer]!, target.cache.keys[layer]!)
    copyLayer(source.cache.values[layer]!, target.cache.values[layer]!)
  }
}

/** Sets a row to zeros: a value that is not a number would show through the mask. @internal */
export const clearRow = (config: ModelConfig, { cache, row }: CacheRow): void => {
  const size = config.num_kv_heads * cache.capacity * config.head_dim
  for (const data of [...cache.keys, ...cache.values]) data.fill(0, row * size, (row + 1) * size)
}

/** What the first rows of a cache hold of a layer, without a copy. @internal */
export const firstRows = (config: ModelConfig, { capacity }: KvCache, data: Float32Array, rows: number): Float32Array =>
  data.subarray(0, rows * config.num_kv_heads * capacity * config.head_dim)

/** The bytes of a cache. @internal */
export const bytesOf = ({ keys, values }: KvCache): number =>
  [...keys, ...values].reduce((sum, { byteLength }) => sum + byteLength, 0)
