/** Qwen3: norms of each head of queries and keys, and a sliding window in the later layers if it is switched on. */
import type { Family } from "./family.ts"
import { hasWindow, slidingAttention } from "./sliding.ts"

/** @internal */
export const qwen3: Family = {
  name: "qwen3",
  architecture: "Qwen3ForCausalLM",
  defaults: { max_window_layers: 28 },
  traits: (raw, sizes) => ({
    qk_norm: true,
    ...slidingAttention(raw, sizes, (layer) => hasWindow(raw) && layer >= Number(raw["max_window_layers"]))
  })
}
