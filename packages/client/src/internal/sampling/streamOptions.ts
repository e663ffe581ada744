/** The options and the pieces of a sample that is read while it is sampled. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import type { SampleOptions } from "./options.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface StreamOptions extends Pick<SampleOptions, "sampling_params" | "topk_sample_logprobs"> {
  /** where the service does not stream, how many tokens each request asks for; 16 */
  readonly tokensPerRequest?: number | undefined
}

/**
 * Tokens that were sampled since the last piece. The last piece, and only it, has a `stop_reason`; it may have no tokens.
 *
 * @since 0.1.0
 * @category models
 */
export interface Delta {
  readonly tokens: Int32Array
  /** one for each token */
  readonly logprobs?: Float32Array | undefined
  readonly topk_logprobs?: Sampling.TopkLogprobs | undefined
  readonly stop_reason?: Sampling.SampledSequence["stop_reason"] | undefined
  /** how many tokens of the prompt the service knew already; with `stop_reason` */
  readonly prompt_cache_hit_tokens?: number | undefined
}
