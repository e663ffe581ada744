/** Grouped-query attention, traced with jax-js: causal attention within rows, and attention to a KV cache. */
import { lax, numpy as np } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Traced } from "../executors/executor.ts"

/**
 * Computes attention outputs (N, num_heads, head_dim) from queries (N, num_heads, head_dim) and from keys and values
 * (N, num_kv_heads, head_dim). N counts the positions of all rows.
 *
 * @internal
 */
export type Attend = (layer: number, queries: Traced, keys: Traced, values: Traced) => Traced

/**
 * Attention within `rows` rows of `length` positions each. The mask (rows, length, length) is added to the scores.
 *
 * @internal
 */
export const attendWithinRows =
  (config: ModelConfig, rows: number, length: number, mask: Traced): Attend =>
  (_layer, q, k, v) => {
    const { head_dim: hd, num_heads: h, num_kv_heads: kv } = config
    const queries = q
      .mul(1 / Math.sqrt(hd))
      .reshape([rows, length, kv, h / kv, hd])
      .transpose([0, 2, 3, 1, 4])
    const keys = k.reshape([rows, length, kv, hd]).transpose([0, 2, 3, 1]).reshape([rows, kv, 1, hd, length])
    const values = v.reshape([rows, length, kv, hd]).transpose([0, 2, 1, 3]).reshape([rows, kv, 1, length, hd])
    const scores = np.matmul(queries, keys).add(mask.ref.reshape([rows, 1, 1, length, length]))
    const max = lax.stopGradient(scores.ref.max(-1, { keepdims: true }))
    const weights = np.exp(scores.sub(max))
    const sum = weights.ref.sum(-1, { keepdims: true })
    return np
      .matmul(weights.mul(np.reciprocal(sum)), values)
      .transpose([0, 3, 1, 2, 4])
      .reshape([rows * length, h, hd])
  }

/** Inputs of a program that reads a KV cache. */
interface CacheInputs {
  /** (capacity), added to the scores of cached positions */
  readonly mask: Traced
  /** the keys (rows, num_kv_heads, capacity, head_dim) of a layer */
  readonly keys: (layer: number) => Traced
  /** the values (rows, num_kv_heads, capacity, head_dim) of a layer */
  readonly values: (layer: number) => Traced
}

/**
 * Attention of one new position per row to the cached positions and to itself. The new position is not in the cache:
 * its score and its value are added separately.
 *
 * @internal
 */
export const attendToCache =
  (config: ModelConfig, rows: number, capacity: number, cache: CacheInputs): Attend =>
  (layer, q, k, v) => {
    const { head_dim: hd, num_heads: h, num_kv_heads: kv } = config
    const queries = q.mul(1 / Math.sqrt(hd)).reshape([rows, kv, h / kv, hd])
    const newScore = queries.ref.mul(k.reshape([rows, kv, 1, hd])).sum(-1, { keepdims: true })
    const scores = np
      .matmul(queries, cache.keys(layer).ref.transpose([0, 1, 3, 2]))
      .add(cache.mask.ref.reshape([1, 1, 1, capacity]))
    const max = np.maximum(scores.ref.max(-1, { keepdims: true }), newScore.ref)
    const weights = np.exp(scores.sub(max.ref))
    const newWeight = np.exp(newScore.sub(max))
    const sum = weights.ref.sum(-1, { keepdims: true }).add(newWeight.ref)
    return np
      .matmul(weights, cache.values(layer).ref)
      .add(newWeight.mul(v.reshape([rows, kv, 1, hd])))
      .mul(np.reciprocal(sum))
      .reshape([rows, h, hd])
  }
