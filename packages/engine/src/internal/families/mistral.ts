/** Mistral: a Llama whose layers may all have a sliding window. */
import type { Family } from "./family.ts"
import { uniformAttention } from "./sliding.ts"

/** @internal */
export const mistral: Family = {
  name: "mistral",
  architecture: "MistralForCausalLM",
  defaults: { sliding_window: 4096, max_position_embeddings: 131_072 },
  traits: (raw, sizes) => uniformAttention(raw, sizes)
}
