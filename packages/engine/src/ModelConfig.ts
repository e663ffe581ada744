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
  readonly model_type: "llama" | "qwen3"
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
  /** whether the unembedding shares the weights of the embedding */
  readonly tie_word_embeddings: boolean
  /** the length of the longest sequence, in tokens */
  readonly max_context_length: number
  readonly rope: Rope
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
