/** Phi-3: one matrix for queries, keys and values, one for gate and up, and a sliding window in all layers. */
import type { Family } from "./family.ts"
import { uniformAttention } from "./sliding.ts"

/** @internal */
export const phi3: Family = {
  name: "phi3",
  architecture: "Phi3ForCausalLM",
  defaults: { rms_norm_eps: 1e-5, max_position_embeddings: 4096, original_max_position_embeddings: 4096 },
  traits: (raw, sizes) => ({
    fused_projections: true,
    ...uniformAttention(raw, sizes)
  })
}
