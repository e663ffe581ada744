/** A sequence in generation, and how it is extended by a token. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as distribution from "./distribution.ts"
import type { StopCondition } from "./stopCondition.ts"

/** @internal */
export interface Sequence {
  /** the key of its stream of random numbers */
  readonly key: number
  readonly tokens: Array<number>
  readonly logprobs: Array<number>
  /** the most likely tokens in the place of each token, if requested */
  readonly topLogprobs: Array<ReadonlyArray<readonly [token: number, logprob: number]>>
  stop_reason: "stop" | "length"
  /** is told each token of the sequence, where the request wants that */
  readonly onToken?: ((sampled: Omit<Engine.SampledToken, "index">) => void) | undefined
}

/** What all sequences of a request share. @internal */
export interface SequenceOptions {
  readonly maxTokens: number
  readonly sampling: distribution.SamplingOptions
  readonly isEnd: StopCondition
  /** the number of most likely tokens to record for each token */
  readonly topCount: number
}

/** @internal */
export const make = (key: number, onToken?: Sequence["onToken"]): Sequence => ({
  key,
  onToken,
  tokens: [],
  logprobs: [],
  topLogprobs: [],
  stop_reason: "length"
})

/**
 * Samples the next token. Returns whether the sequence continues. `scratch` is memory of the size of the vocabulary.
 *
 * @internal
 */
export const extend = (
  sequence: Sequence,
  logits: Float32Array,
  options: SequenceOptions,
  scratch: Float64Array<ArrayBuffer>
): boolean => {
  const { isEnd, maxTokens, sampling, topCount } = options
  const { logprob, token } = distribution.sampleToken(logits, sampling, sequence.key, sequence.tokens.length, scratch)
  sequence.tokens.push(token)
  sequence.logprobs.push(logprob)
  if (topCount > 0) sequence.topLogprobs.push(distribution.topTokens(distribution.logprobs(logits), topCount))
  const isStopped = isEnd(sequence.tokens)
  if (isStopped) sequence.stop_reason = "stop"
  const goesOn = !isStopped && sequence.tokens.length < maxTokens
  sequence.onToken?.({
    token,
    logprob,
    topk: sequence.topLogprobs.at(-1),
    stop_reason: goesOn ? undefined : sequence.stop_reason
  })
  return goesOn
}
