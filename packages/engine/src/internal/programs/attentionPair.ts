/**
 * The programs of attention from a block of queries to a block of keys, whose result is merged with that of other blocks
 * of keys: no more scores exist than those of one pair of blocks. The gradient computes them again from the
 * log-sum-exp of all scores of a query.
 */
import { numpy as np } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Program, Traced } from "../executors/executor.ts"
import { maskedScore } from "../model/attentionMask.ts"
import type { TracedInputs } from "../model/transformer.ts"
import { disposeAll, float32, type InputSpecs, programKey } from "./inputs.ts"

const pairSpecs = ({ head_dim, num_heads, num_kv_heads }: ModelConfig, block: number): InputSpecs => ({
  queries: float32(block, num_heads, head_dim),
  keys: float32(block, num_kv_heads, head_dim),
  values: float32(block, num_kv_heads, head_dim),
  columns: float32(block),
  first: float32(block),
  last: float32(block)
})

/** Views (block, heads, width) as (num_kv_heads, heads per key, block, width). */
const byKeyHead = (config: ModelConfig, x: Traced): Traced => {
  const [block, heads, width] = x.shape as [number, number, number]
  return x.reshape([block, config.num_kv_heads, heads / config.num_kv_heads, width]).transpose([1, 2, 0, 3])
}

/** The inverse of `byKeyHead`. */
const byPosition = (x: Traced): Traced => {
  const [kv, perKey, block, width] = x.shape as [number, number, number, number]
  return x.transpose([2, 0, 1, 3]).reshape([block, kv * perKey, width])
}

/** Scaled queries (num_kv_heads, heads per key, block, head_dim). */
const scaledQueries = (config: ModelConfig, inputs: TracedInputs): Traced =>
  byKeyHead(config, inputs["queries"]!.ref.mul(config.query_scale))

/** The scores (num_kv_heads, heads per key, block, block) with `maskedScore` added to those of keys that a query does not see. */
const scoresOf = (inputs: TracedInputs, queries: Traced, keys: Traced): Traced => {
  const block = inputs["columns"]!.shape[0]!
  const columns = () => inputs["columns"]!.ref.reshape([1, 1, 1, block])
  const bound = (name: "first" | "last") => inputs[name]!.ref.reshape([1, 1, block, 1])
  const isMasked = np.minimum(columns().sub(bound("first")), bound("last").sub(columns())).less(0)
  const mask = np.where(isMasked, maskedScore, 0)
  return np.matmul(queries, keys.transpose([0, 1, 3, 2])).add(mask)
}

/**
 * Attention of `block` queries to `block` keys.
 *
 * Inputs: `queries` (block, num_heads, head_dim); `keys` and `values` (block, num_kv_heads, head_dim); `columns`
 * (block), 0, 1, 2 …; `first` and `last` (block), the first and the last column that a query sees; `output` (block,
 * num_heads, head_dim) and `log_sum_exp` (block, num_heads), the result of the blocks of keys before.
 *
 * Outputs: the result with this block of keys, in the form of `output` and `log_sum_exp`.
 *
 * @internal
 */
export const attentionPair = (config: ModelConfig, block: number): Program => ({
  key: programKey("attention_pair", config, block),
  inputs: {
    ...pairSpecs(config, block),
    output: float32(block, config.num_heads, config.head_dim),
    log_sum_exp: float32(block, config.num_heads)
  },
  trace: (inputs) => {
    const keys = byKeyHead(config, inputs["keys"]!.ref)
    const values = byKeyHead(config, inputs["values"]!.ref)
    const before = byKeyHead(config, inputs["log_sum_exp"]!.ref.reshape([block, config.num_heads, 1]))
    const scores = scoresOf(inputs, scaledQueries(config, inputs), keys)
    const max = np.maximum(scores.ref.max(-1, { keepdims: true }), before.ref)
    const weights = np.exp(scores.sub(max.ref))
    const weightBefore = np.exp(before.sub(max.ref))
    const sum = weights.ref.sum(-1, { keepdims: true }).add(weightBefore.ref)
    const output = np
      .matmul(weights, values)
      .add(weightBefore.mul(byKeyHead(config, inputs["output"]!.ref)))
      .mul(np.reciprocal(sum.ref))
    disposeAll(inputs)
    return [byPosition(output), byPosition(max.add(np.log(sum))).reshape([block, config.num_heads])]
  }
})

/**
 * The gradient of attention of `block` queries to `block` keys.
 *
 * Inputs: those of `attentionPair`, with the `output` and the `log_sum_exp` of all keys; and the `gradient` of the
 * output (block, num_heads, head_dim).
 *
 * Outputs: what this pair adds to the gradients of the queries, the keys and the values.
 *
 * @internal
 */
export const attentionPairGradient = (config: ModelConfig, block: number): Program => ({
  key: programKey("attention_pair_gradient", config, block),
  inputs: {
    ...pairSpecs(config, block),
    output: float32(block, config.num_heads, config.head_dim),
    log_sum_exp: float32(block, config.num_heads),
    gradient: float32(block, config.num_heads, config.head_dim)
  },
  trace: (inputs) => {
    const queries = scaledQueries(config, inputs)
    const keys = byKeyHead(config, inputs["keys"]!.ref)
    const values = byKeyHead(config, inputs["values"]!.ref)
    const gradient = byKeyHead(config, inputs["gradient"]!.ref)
    const output = byKeyHead(config, inputs["output"]!.ref)
    const logSumExp = byKeyHead(config, inputs["log_sum_exp"]!.ref.reshape([block, config.num_heads, 1]))
    const weights = np.exp(scoresOf(inputs, queries.ref, keys.ref).sub(logSumExp))
    const valuesGradient = np.matmul(weights.ref.transpose([0, 1, 3, 2]), gradient.ref)
    const weightsGradient = np.matmul(gradient.ref, values.transpose([0, 1, 3, 2]))
    const mean = gradient.mul(output).sum(-1, { keepdims: true })
    const scoresGradient = weights.mul(weightsGradient.sub(mean))
    const queriesGradient = np.matmul(scoresGradient.ref, keys).mul(config.query_scale)
    const keysGradient = np.matmul(scoresGradient.transpose([0, 1, 3, 2]), queries)
    disposeAll(inputs)
    const sumPerKey = (x: Traced) => byPosition(x.sum(1, { keepdims: true }))
    return [byPosition(queriesGradient), sumPerKey(keysGradient), sumPerKey(valuesGradient)]
  }
})
