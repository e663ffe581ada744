/** The layers of a decoder: their Hugging Face names and the shapes of their weights. */
import type { ModelConfig } from "../../ModelConfig.ts"

/** A linear layer. @internal */
export interface Linear {
  /** the Hugging Face name without `.weight` */
  readonly name: string
  readonly out: number
  readonly in: number
  readonly part: "attn" | "mlp" | "unembed"
}

const layerLinears = (config: ModelConfig, layer: number): ReadonlyArray<Linear> => {
  const { head_dim, hidden_size, intermediate_size, num_heads, num_kv_heads } = config
  const prefix = `model.layers.${layer}`
  const attention = (name: string, out: number, inputs: number): Linear => ({
    name: `${prefix}.self_attn.${name}`,
    out,
    in: inputs,
    part: "attn"
  })
  const mlp = (name: string, out: number, inputs: number): Linear => ({
    name: `${prefix}.mlp.${name}`,
    out,
    in: inputs,
    part: "mlp"
  })
  const [queries, keys] = [num_heads * head_dim, num_kv_heads * head_dim]
  if (config.fused_projections) {
    return [
      attention("qkv_proj", queries + 2 * keys, hidden_size),
      attention("o_proj", hidden_size, queries),
      mlp("gate_up_proj", 2 * intermediate_size, hidden_size),
      mlp("down_proj", hidden_size, intermediate_size)
    ]
  }
  return [
    attention("q_proj", queries, hidden_size),
    attention("k_proj", keys, hidden_size),
    attention("v_proj", keys, hidden_size),
    attention("o_proj", hidden_size, queries),
    mlp("gate_proj", intermediate_size, hidden_size),
    mlp("up_proj", intermediate_size, hidden_size),
    mlp("down_proj", hidden_size, intermediate_size)
  ]
}

const layerIndices = (config: ModelConfig): ReadonlyArray<number> =>
  Array.from({ length: config.num_layers }, (_, layer) => layer)

/** All linear layers; the unembedding, `lm_head`, is the last. @internal */
export const linears = (config: ModelConfig): ReadonlyArray<Linear> => [
  ...layerIndices(config).flatMap((layer) => layerLinears(config, layer)),
  { name: "lm_head", out: config.vocab_size, in: config.hidden_size, part: "unembed" }
]

const layerNorms = (config: ModelConfig, layer: number): ReadonlyArray<readonly [name: string, length: number]> => {
  const prefix = `model.layers.${layer}`
  return [
    [`${prefix}.input_layernorm.weight`, config.hidden_size],
    [`${prefix}.post_attention_layernorm.weight`, config.hidden_size],
    ...(config.post_norms
      ? ([
          [`${prefix}.pre_feedforward_layernorm.weight`, config.hidden_size],
          [`${prefix}.post_feedforward_layernorm.weight`, config.hidden_size]
        ] as const)
      : []),
    ...(config.qk_norm
      ? ([
          [`${prefix}.self_attn.q_norm.weight`, config.head_dim],
          [`${prefix}.self_attn.k_norm.weight`, config.head_dim]
        ] as const)
      : [])
  ]
}

/** The weights of all norms, with their lengths. @internal */
export const norms = (config: ModelConfig): ReadonlyArray<readonly [name: string, length: number]> => [
  ["model.norm.weight", config.hidden_size],
  ...layerIndices(config).flatMap((layer) => layerNorms(config, layer))
]

/** All biases, with their lengths. @internal */
export const biases = (config: ModelConfig): ReadonlyArray<readonly [name: string, length: number]> =>
  config.qkv_bias
    ? linears(config)
        .filter(({ name }) => /\.[qkv]_proj$/.test(name))
        .map(({ name, out }) => [`${name}.bias`, out] as const)
    : []

/** The name of the embedding. @internal */
export const embedding = "model.embed_tokens.weight"

/** The name of the weight that maps hidden states to logits. @internal */
export const unembedding = (config: ModelConfig): string => (config.tie_word_embeddings ? embedding : "lm_head.weight")

/** The name of the weight of a linear layer. @internal */
export const weightName = (config: ModelConfig, linear: Linear): string =>
  linear.part === "unembed" ? unembedding(config) : `${linear.name}.weight`

/** Every weight that a model needs, with its shape. @internal */
export const expectedWeights = (
  config: ModelConfig
): ReadonlyArray<readonly [name: string, shape: ReadonlyArray<number>]> => [
  [embedding, [config.vocab_size, config.hidden_size]],
  ...[...norms(config), ...biases(config)].map(([name, length]) => [name, [length]] as const),
  ...linears(config)
    .filter(({ part }) => part !== "unembed" || !config.tie_word_embeddings)
    .map((linear) => [`${linear.name}.weight`, [linear.out, linear.in]] as const)
]
