/**
 * The dimensions of a decoder, as `config.json` of a Hugging Face model states them.
 *
 * @since 0.1.0
 */

/**
 * The dimensions of a decoder. Sizes are numbers of values.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelConfig {
  readonly model_type: "llama" | "mistral" | "qwen2" | "qwen3" | "smollm3" | "phi3" | "gemma3"
  readonly vocab_size: number
  readonly hidden_size: number
  readonly intermediate_size: number
  readonly num_layers: number
  readonly num_heads: number
  /** the number of heads of keys and values; each serves `num_heads / num_kv_heads` query heads */
  readonly num_kv_heads: number
  readonly head_dim: number
  readonly rms_norm_eps: number
  /** whether queries and keys are normalized per head, as in Qwen3 */
  readonly qk_norm: boolean
  /** whether the projections to queries, keys and values have biases, as in Qwen2 */
  readonly qkv_bias: boolean
  /** whether one matrix makes queries, keys and values, and one gate and up, as in Phi-3 */
  readonly fused_projections: boolean
  /** whether the outputs of attention and MLP are normalized before they are added, as in Gemma 3 */
  readonly post_norms: boolean
  /** what is added to the weights of norms in a directory, which Gemma 3 stores less 1 */
  readonly norm_offset: 0 | 1
  readonly activation: "silu" | "gelu_tanh"
  /** the factor of embedded tokens */
  readonly embedding_scale: number
  /** the factor of attention scores */
  readonly query_scale: number
  /** for each layer */
  readonly layers: ReadonlyArray<LayerAttention>
  /** how many positions layers with a window see, their own included; `undefined` if no layer has one */
  readonly sliding_window: number | undefined
  /** whether the unembedding shares the weights of the embedding */
  readonly tie_word_embeddings: boolean
  /** the length of the longest sequence, in tokens */
  readonly max_context_length: number
  readonly rope: Rope
  /** of the layers that have the rope `local` */
  readonly local_rope?: Rope | undefined
}

/**
 * The attention of a layer: whether it has the sliding window, and which rotary position embedding, if any.
 *
 * @since 0.1.0
 * @category models
 */
export interface LayerAttention {
  readonly isSliding: boolean
  readonly rope: "global" | "local" | "none"
}

/**
 * Rotary position embedding: the base of its frequencies, and how they are scaled.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rope {
  readonly theta: number
  readonly scaling: RopeScaling
}

/**
 * How the frequencies of rotary position embeddings are scaled to longer contexts.
 *
 * @since 0.1.0
 * @category models
 */
export type RopeScaling =
  | { readonly type: "default" }
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3"
      readonly factor: number
      readonly low_freq_factor: number
      readonly high_freq_factor: number
      readonly original_max_position_embeddings: number
    }
  | {
      readonly type: "yarn"
      readonly factor: number
      readonly original_max_position_embeddings: number
      /** the factor of cosines and sines */
      readonly attention_factor: number
      readonly beta_fast: number
      readonly beta_slow: number
      /** whether the bounds of the ramp are rounded to whole pairs of values */
      readonly truncate: boolean
    }
  | {
      /** each pair of values has its own factor, as in LongRoPE within the first context, and in GGUF files */
      readonly type: "factors"
      readonly factors: ReadonlyArray<number>
      readonly attention_factor: number
      /** the longest sequence for which the factors hold; the whole context if absent */
      readonly largest_context?: number | undefined
    }
