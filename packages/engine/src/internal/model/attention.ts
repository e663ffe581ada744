/** Grouped-query attention, traced with jax-js: causal attention within rows, and attention to a KV cache. */
import { lax, numpy as np } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Traced } from "../executors/executor.ts"
import { maskInput } from "./attentionMask.ts"

/**
 * Computes attention outputs (N, num_heads, head_dim) from queries (N, num_heads, head_dim) and from keys and values
 * (N, num_kv_heads, head_dim). N counts the positions of all rows.
 *
 * @internal
 */
export type Attend = (layer: number, queries: Traced, keys: Traced, values: Traced) => Traced

/**
 * Attention within `rows` rows of `length` positions each. The masks (rows, length, length) of all positions, and of the
 * last ones where layers have a window, are added to the scores.
 *
 * @internal
 */
export const attendWithinRows =
  (config: ModelConfig, rows: number, length: number, masks: { readonly [name: string]: Traced }): Attend =>
  (layer, q, k, v) => {
    const { head_dim: hd, num_heads: h, num_kv_heads: kv } = config
    const mask = masks[maskInput(config.layers[layer]!)]!
    const queries = q
      .mul(config.query_scale)
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
  /** (rows, capacity), added to the scores of cached positions */
  readonly mask: Traced
  /** (length, length), added to the scores of the new positions */
  readonly causal: Traced
  /** the same where a layer has a window: (rows, length, capacity), since each position sees others; (length, length) */
  readonly sliding: { readonly mask: Traced; readonly causal: Traced } | undefined
  /** the keys (rows, num_kv_heads, capacity, head_dim) of a layer */
  readonly keys: (layer: number) => Traced
  /** the values (rows, num_kv_heads, capacity, head_dim) of a layer */
  readonly values: (layer: number) => Traced
}

/** The sizes of a batch that reads a KV cache: `length` new positions in each row. */
interface CacheShape {
  readonly rows: number
  readonly length: number
  readonly capacity: number
}

/**
 * Attention of the new positions of each row to the cached ones and to each other. The new positions are not in the
 * cache: their scores and values are added separately.
 *
 * @internal
 */
export const attendToCache =
  (config: ModelConfig, { capacity, length, rows }: CacheShape, cache: CacheInputs): Attend =>
  (layer, q, k, v) => {
    const { head_dim: hd, num_heads: h, num_kv_heads: kv } = config
    const perKey = h / kv
    const sliding = config.layers[layer]!.isSliding ? cache.sliding : undefined
    const queries = q
      .mul(config.query_scale)
      .reshape([rows, length, kv, perKey, hd])
      .transpose([0, 2, 3, 1, 4])
      .reshape([rows, kv, perKey * length, hd])
    const byHead = (x: Traced) => x.reshape([rows, length, kv, hd]).transpose([0, 2, 1, 3])
    const newScores = np
      .matmul(queries.ref, byHead(k).transpose([0, 1, 3, 2]))
      .reshape([rows, kv, perKey, length, length])
      .add((sliding ?? cache).causal.ref.reshape([1, 1, 1, length, length]))
      .reshape([rows, kv, perKey * length, length])
    const cachedScores = np.matmul(queries, cache.keys(layer).ref.transpose([0, 1, 3, 2]))
    const scores =
      sliding === undefined
        ? cachedScores.add(cache.mask.ref.reshape([rows, 1, 1, capacity]))
        : cachedScores
            .reshape([rows, kv, perKey, length, capacity])
            .add(sliding.mask.ref.reshape([rows, 1, 1, length, capacity]))
            .reshape([rows, kv, perKey * length, capacity])
    const largest = (x: Traced) => x.max(-1, { keepdims: true })
    const max = np.maximum(largest(scores.ref), largest(newScores.ref))
    const weights = np.exp(scores.sub(max.ref))
    const newWeights = np.exp(newScores.sub(max))
    const sum = weights.ref.sum(-1, { keepdims: true }).add(newWeights.ref.sum(-1, { keepdims: true }))
    return np
      .matmul(weights, cache.values(layer).ref)
      .add(np.matmul(newWeights, byHead(v)))
      .mul(np.reciprocal(sum))
      .reshape([rows, kv, perKey, length, hd])
      .transpose([0, 3, 1, 2, 4])
      .reshape([rows * length, h, hd])
  }
