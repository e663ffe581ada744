/**
 * Gemma 3, the text model: norms before and after attention and MLP with weights that are stored less 1, norms of
 * queries and keys, the tanh form of GELU, a scaled embedding, a scale of queries of its own, and layers with a sliding
 * window and their own base of the rotary embedding, five of six if the file does not say which.
 */
import type { Family } from "./family.ts"
import { isJson, type Json, positiveInteger, positiveNumber, show } from "./fields.ts"
import { parseRope, type RopeContext } from "./rope.ts"
import { slidingAttention } from "./sliding.ts"

/** Transformers 5 has a `rope_parameters` for each type of layers. */
const ropes = (raw: Json, context: RopeContext) => {
  const parameters = raw["rope_parameters"]
  if (isJson(parameters) && (isJson(parameters["full_attention"]) || isJson(parameters["sliding_attention"]))) {
    const of = (type: string, rope_theta: number) =>
      parseRope({ rope_theta, rope_parameters: parameters[type] ?? {} }, context)
    return { rope: of("full_attention", 1e6), local_rope: of("sliding_attention", 1e4) }
  }
  const local = positiveNumber(raw, "rope_local_base_freq", 1e4)
  return { rope: parseRope(raw, context), local_rope: { theta: local, scaling: { type: "default" } as const } }
}

/** @internal */
export const gemma3: Family = {
  name: "gemma3",
  modelTypes: ["gemma3_text"],
  architecture: "Gemma3ForCausalLM",
  activation: ["hidden_activation", "gelu_pytorch_tanh"],
  defaults: {
    rope_theta: 1e6,
    head_dim: 256,
    num_key_value_heads: 4,
    max_position_embeddings: 131_072,
    sliding_window: 4096,
    query_pre_attn_scalar: 256,
    tie_word_embeddings: true
  },
  traits: (raw, sizes) => {
    const pattern = positiveInteger(raw, "sliding_window_pattern", 6)
    return {
      qk_norm: true,
      post_norms: true,
      norm_offset: 1,
      activation: "gelu_tanh",
      embedding_scale: Math.fround(Math.sqrt(sizes.hidden_size)),
      query_scale: 1 / Math.sqrt(positiveNumber(raw, "query_pre_attn_scalar")),
      ...slidingAttention(
        raw,
        sizes,
        (layer) => (layer + 1) % pattern !== 0,
        (_, isSliding) => (isSliding ? "local" : "global")
      ),
      ...ropes(raw, sizes)
    }
  },
  unsupported: (raw) => {
    const reasons = ["attn_logit_softcapping", "final_logit_softcapping"]
      .filter((name) => raw[name] !== undefined && raw[name] !== null)
      .map((name) => `${name} is ${show(raw[name])}: it is not supported`)
    return raw["use_bidirectional_attention"] === true
      ? [...reasons, "use_bidirectional_attention is true: only causal attention is supported"]
      : reasons
  }
}
