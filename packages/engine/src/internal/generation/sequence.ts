/** A sequence in generation, and how it is extended by a token. */
import type * as Engine from "@effect-tinker/server/Engine"
import type { Constraint } from "../grammar/constraint.ts"
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
  /** why it ended before its time */
  problem?: string | undefined
  /** what it may continue with */
  readonly constraint?: Constraint | undefined
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
export const make = (key: number, onToken?: Sequence["onToken"], constraint?: Constraint): Sequence => ({
  key,
  onToken,
  constraint,
  tokens: [],
  logprobs: [],
  topLogprobs: [],
  stop_reason: "length"
})

/** Samples among the tokens that may come next. The logprob is of the model's distribution, as always. */
const sampleConstrained = (
  { constraint, key, tokens }: Sequence & { readonly constraint: Constraint },
  logits: Float32Array,
  sampling: distribution.SamplingOptions,
  scratch: Float64Array<ArrayBuffer>
) => {
  // others may read these logits too
  const allowed = logits.slice()
  if (!constraint.apply(allowed)) return undefined
  const { token } = distribution.sampleToken(allowed, sampling, key, tokens.length, scratch)
  constraint.accept(token)
  return { token, logprob: distribution.logprobs(logits)[token]! }
}

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
  const { constraint, key } = sequence
  const sampled =
    constraint === undefined
      ? distribution.sampleToken(logits, sampling, key, sequence.tokens.length, scratch)
      : sampleConstrained({ ...sequence, constraint }, logits, sampling, scratch)
  if (sampled === undefined) {
    sequence.problem = `after ${sequence.tokens.length} tokens, no token of the vocabulary continues the JSON of the schema`
    return false
  }
  const { logprob, token } = sampled
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
