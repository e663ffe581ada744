/** The program of one step of generation: logits after one more token in each sequence, by the KV cache. */
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Program, TensorSpec, Traced } from "../executors/executor.ts"
import { attendToCache } from "../model/attention.ts"
import { baseProjection, hiddenStates } from "../model/transformer.ts"
import { baseWeightSpecs, disposeAll, float32, programKey } from "./inputs.ts"
import { recordKeysAndValues } from "./prefill.ts"

/** The name of the input with the cached keys of a layer. @internal */
export const keysInput = (layer: number): string => `keys.${layer}`

/** The name of the input with the cached values of a layer. @internal */
export const valuesInput = (layer: number): string => `values.${layer}`

/**
 * Reads one more token in each of `rows` sequences of equal length.
 *
 * Inputs besides the weights: `x` (rows, hidden_size); `cos` and `sin` (1, 1, head_dim) of the new position; `mask`
 * (capacity), added to the scores of cached positions; and for each layer the cached keys and values (rows,
 * num_kv_heads, capacity, head_dim).
 *
 * Outputs: logits (rows, vocab_size); then for each layer the new keys and values (rows, num_kv_heads, head_dim).
 *
 * @internal
 */
export const decodeStep = (config: ModelConfig, rows: number, capacity: number): Program => {
  const cacheSpecs: Record<string, TensorSpec> = {}
  for (let layer = 0; layer < config.num_layers; layer++) {
    cacheSpecs[keysInput(layer)] = float32(rows, config.num_kv_heads, capacity, config.head_dim)
    cacheSpecs[valuesInput(layer)] = float32(rows, config.num_kv_heads, capacity, config.head_dim)
  }
  return {
    key: programKey("decode_step", config, rows, capacity),
    inputs: {
      ...baseWeightSpecs(config),
      x: float32(rows, config.hidden_size),
      cos: float32(1, 1, config.head_dim),
      sin: float32(1, 1, config.head_dim),
      mask: float32(capacity),
      ...cacheSpecs
    },
    trace: (inputs) => {
      const keysAndValues: Array<Traced> = []
      const project = baseProjection(config, inputs)
      const cache = {
        mask: inputs["mask"]!,
        keys: (layer: number) => inputs[keysInput(layer)]!,
        values: (layer: number) => inputs[valuesInput(layer)]!
      }
      const attend = recordKeysAndValues(attendToCache(config, rows, capacity, cache), keysAndValues)
      const logits = project(hiddenStates(config, inputs, inputs["x"]!.ref, project, attend), "lm_head")
      disposeAll(inputs)
      return [logits, ...keysAndValues]
    }
  }
}
