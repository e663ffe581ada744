/** The linear layers, norms and weights of a decoder by their Hugging Face names, with their shapes. */
import type { ModelConfig } from "../../ModelConfig.ts"

/** A linear layer: its Hugging Face name without `.weight`. @internal */
export interface Linear {
  readonly name: string
  readonly out: number
  readonly in: number
  readonly part: "attn" | "mlp" | "unembed"
}

/** All linear layers, the unembedding last. @internal */
export const linears = (config: ModelConfig): ReadonlyArray<Linear> => {
  const { head_dim, hidden_size: d, intermediate_size: f, num_heads, num_kv_heads, num_layers, vocab_size } = config
  const q = num_heads * head_dim
  const kv = num_kv_heads * head_dim
  const out: Array<Linear> = []
  for (let layer = 0; layer < num_layers; layer++) {
    const attn = (name: string, out: number, inn: number): Linear => ({
      name: `model.layers.${layer}.self_attn.${name}`,
      out,
      in: inn,
      part: "attn"
    })
    const ffn = (name: string, out: number, inn: number): Linear => ({
      name: `model.layers.${layer}.mlp.${name}`,
      out,
      in: inn,
      part: "mlp"
    })
    out.push(attn("q_proj", q, d), attn("k_proj", kv, d), attn("v_proj", kv, d), attn("o_proj", d, q))
    out.push(ffn("gate_proj", f, d), ffn("up_proj", f, d), ffn("down_proj", d, f))
  }
  out.push({ name: "lm_head", out: vocab_size, in: d, part: "unembed" })
  return out
}

/** The norms of a model and their lengths. @internal */
export const norms = (config: ModelConfig): ReadonlyArray<readonly [name: string, length: number]> => {
  const out: Array<readonly [string, number]> = [["model.norm.weight", config.hidden_size]]
  for (let layer = 0; layer < config.num_layers; layer++) {
    const prefix = `model.layers.${layer}`
    out.push([`${prefix}.input_layernorm.weight`, config.hidden_size])
    out.push([`${prefix}.post_attention_layernorm.weight`, config.hidden_size])
    if (config.qk_norm) {
      out.push([`${prefix}.self_attn.q_norm.weight`, config.head_dim])
      out.push([`${prefix}.self_attn.k_norm.weight`, config.head_dim])
    }
  }
  return out
}

/** @internal */
export const embedding = "model.embed_tokens.weight"

/** The name of the weight that turns hidden states into logits. @internal */
export const unembedding = (config: ModelConfig): string => (config.tie_word_embeddings ? embedding : "lm_head.weight")

/** Every weight that the model needs, with its shape. @internal */
export const expectedWeights = (
  config: ModelConfig
): ReadonlyArray<readonly [name: string, shape: ReadonlyArray<number>]> => [
  [embedding, [config.vocab_size, config.hidden_size]],
  ...norms(config).map(([name, length]) => [name, [length]] as const),
  ...linears(config)
    .filter(({ part }) => part !== "unembed" || !config.tie_word_embeddings)
    .map((linear) => [`${linear.name}.weight`, [linear.out, linear.in]] as const)
]
