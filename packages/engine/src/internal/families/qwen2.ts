/** Qwen2 and Qwen2.5: biases of queries, keys and values, and a sliding window in the later layers if it is switched on. */
import type { Family } from "./family.ts"
import { hasWindow, slidingAttention } from "./sliding.ts"

/** @internal */
export const qwen2: Family = {
  name: "qwen2",
  architecture: "Qwen2ForCausalLM",
  defaults: { max_position_embeddings: 32_768, max_window_layers: 28 },
  traits: (raw, sizes) => ({
    qkv_bias: true,
    ...slidingAttention(raw, sizes, (layer) => hasWindow(raw) && layer >= Number(raw["max_window_layers"]))
  })
}
