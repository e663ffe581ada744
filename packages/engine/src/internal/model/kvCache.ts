import type { ModelConfig } from "../../ModelConfig.ts"

/**
 * Keys and values of the positions that sequences have read so far, for each layer (rows, KV, capacity, HD). All rows
 * are equally long.
 *
 * @internal
 */
export interface Cache {
  readonly rows: number
  readonly capacity: number
  readonly keys: ReadonlyArray<Float32Array>
  readonly values: ReadonlyArray<Float32Array>
}

/** @internal */
export const make = (model: ModelConfig, rows: number, capacity: number): Cache => {
  const size = rows * model.num_kv_heads * capacity * model.head_dim
  const layers = () => Array.from({ length: model.num_layers }, () => new Float32Array(size))
  return { rows, capacity, keys: layers(), values: layers() }
}

/**
 * Caches that are not in use. They are held weakly: memory that is needed elsewhere is not kept, and allocations of this
 * size, which would have the garbage collected every few requests, are few.
 *
 * @internal
 */
export interface Pool {
  /** One that is all 0. */
  readonly take: (model: ModelConfig, rows: number, capacity: number) => Cache
  readonly give: (cache: Cache) => void
}

/** @internal */
export const makePool = (): Pool => {
  const idle = new Map<string, WeakRef<Cache>>()
  const keyOf = (rows: number, capacity: number) => `${rows} ${capacity}`
  return {
    take: (model, rows, capacity) => {
      const key = keyOf(rows, capacity)
      const found = idle.get(key)?.deref()
      if (found === undefined) return make(model, rows, capacity)
      idle.delete(key)
      for (const data of [...found.keys, ...found.values]) data.fill(0)
      return found
    },
    give: (cache) => {
      idle.set(keyOf(cache.rows, cache.capacity), new WeakRef(cache))
    }
  }
}

/**
 * Writes what a program put out for some positions of one row: keys and values (positions, KV, HD), layer by layer.
 * `from` is the first position in `fresh`, `at` the first place in the cache.
 *
 * @internal
 */
export const write = (
  model: ModelConfig,
  cache: Cache,
  row: number,
  at: number,
  fresh: ReadonlyArray<Float32Array>,
  from: number,
  count: number
): void => {
  const { head_dim: width, num_kv_heads: heads } = model
  for (let layer = 0; layer < model.num_layers; layer++) {
    for (const [target, source] of [
      [cache.keys[layer]!, fresh[2 * layer]!],
      [cache.values[layer]!, fresh[2 * layer + 1]!]
    ] as const) {
      for (let position = 0; position < count; position++) {
        for (let head = 0; head < heads; head++) {
          const start = ((from + position) * heads + head) * width
          const place = ((row * heads + head) * cache.capacity + at + position) * width
          // a view for each of so few numbers would take longer than to copy them
          for (let i = 0; i < width; i++) target[place + i] = source[start + i]!
        }
      }
    }
  }
}

/** Copies some rows of a cache, `length` positions each, to the first rows of another. @internal */
export const select = (
  model: ModelConfig,
  cache: Cache,
  chosen: ReadonlyArray<number>,
  length: number,
  out: Cache
): Cache => {
  const { head_dim: width, num_kv_heads: heads } = model
  const { capacity } = out
  const copy = (source: Float32Array, target: Float32Array) => {
    chosen.forEach((from, to) => {
      for (let head = 0; head < heads; head++) {
        const start = (from * heads + head) * cache.capacity * width
        target.set(source.subarray(start, start + length * width), (to * heads + head) * capacity * width)
      }
    })
  }
  for (let layer = 0; layer < model.num_layers; layer++) {
    copy(cache.keys[layer]!, out.keys[layer]!)
    copy(cache.values[layer]!, out.values[layer]!)
  }
  return out
}
