/** A token on its way from the engine to whoever reads it at once. */

/**
 * A token that was just sampled.
 *
 * @since 0.1.0
 * @category models
 */
export interface SampledToken {
  /** which sequence of the request it extends, from 0 */
  readonly index: number
  readonly token: number
  readonly logprob: number
  /** the most likely tokens in its place, if the request asks for them */
  readonly topk?: ReadonlyArray<readonly [token: number, logprob: number]> | undefined
  /** why the sequence ends with it; absent if it goes on */
  readonly stop_reason?: "stop" | "length" | undefined
}
