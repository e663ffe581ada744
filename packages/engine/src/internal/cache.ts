import type { ModelConfig } from "../ModelDirectory.ts"

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
          target.set(source.subarray(start, start + width), place)
        }
      }
    }
  }
}

/** Some rows of a cache in a new one, with `length` positions each. Rows beyond those given stay 0. @internal */
export const select = (
  model: ModelConfig,
  cache: Cache,
  chosen: ReadonlyArray<number>,
  length: number,
  rows: number,
  capacity: number
): Cache => {
  const { head_dim: width, num_kv_heads: heads } = model
  const out = make(model, rows, capacity)
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
