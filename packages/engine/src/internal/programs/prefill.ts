/** The program that reads a prompt: logits, and the keys and values for the KV cache. */
import { numpy as np } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Program, Traced } from "../executors/executor.ts"
import { type Attend, attendWithinRows } from "../model/attention.ts"
import { baseProjection, hiddenStates } from "../model/transformer.ts"
import { baseWeightSpecs, disposeAll, float32, programKey } from "./inputs.ts"

/** Also appends the keys and values of every layer to `keysAndValues`. @internal */
export const recordKeysAndValues =
  (attend: Attend, keysAndValues: Array<Traced>): Attend =>
  (layer, q, k, v) => {
    keysAndValues.push(k.ref, v.ref)
    return attend(layer, q, k, v)
  }

/**
 * Reads a prompt in one row of `length` positions, padding included.
 *
 * Inputs besides the weights: `x` (length, hidden_size), `cos` and `sin` (length, 1, head_dim), `mask` (1, length,
 * length); without `allLogits` also `last` (1, length), which is 1 at the position whose logits are wanted.
 *
 * Outputs: logits of all positions (length, vocab_size) or of one (1, vocab_size); then for each layer keys and values
 * (length, num_kv_heads, head_dim).
 *
 * @internal
 */
export const prefill = (config: ModelConfig, length: number, allLogits: boolean): Program => ({
  key: programKey("prefill", config, length, allLogits ? "all" : "last"),
  inputs: {
    ...baseWeightSpecs(config),
    x: float32(length, config.hidden_size),
    cos: float32(length, 1, config.head_dim),
    sin: float32(length, 1, config.head_dim),
    mask: float32(1, length, length),
    ...(allLogits ? {} : { last: float32(1, length) })
  },
  trace: (inputs) => {
    const keysAndValues: Array<Traced> = []
    const project = baseProjection(config, inputs)
    const attend = recordKeysAndValues(attendWithinRows(config, 1, length, inputs["mask"]!), keysAndValues)
    const hidden = hiddenStates(config, inputs, inputs["x"]!.ref, project, attend)
    const logits = project(allLogits ? hidden : np.matmul(inputs["last"]!.ref, hidden), "lm_head")
    disposeAll(inputs)
    return [logits, ...keysAndValues]
  }
})
