/**
 * Samples one sequence by several requests, each of which continues the prompt and the tokens so far: the distribution is
 * that of one request, at the cost of the prompt's tokens for each.
 */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { SampleOptions } from "./options.ts"
import type { Delta } from "./streamOptions.ts"

/** The 32-bit finalizer of MurmurHash3. */
const mix = (value: number): number => {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

/**
 * The seed of a request: the given one for the first, hashes of it for the others. With the numbers that follow the seed,
 * the samples of neighbouring seeds would share requests.
 */
const seedOf = (seed: number, round: number): number => {
  if (round === 0) return seed
  const [low, high] = [seed | 0, Math.floor(seed / 2 ** 32) | 0]
  const key = mix(mix(low ^ 0x9e3779b9) + mix(high ^ 0x7f4a7c15))
  return mix(key ^ Math.imul(round, 0x9e3779b1)) & 0x7fffffff
}

type Sample = (
  prompt: ModelInput.ModelInput,
  options: SampleOptions
) => Effect.Effect<Sampling.SampleResponse, TinkerError.TinkerError>

/** @internal */
export interface Continuation {
  readonly sample: Sample
  readonly prompt: ModelInput.ModelInput
  /** with `max_tokens` */
  readonly options: SampleOptions
  readonly tokensPerRequest: number
  /** how many requests there were before, and the tokens that they gave */
  readonly round: number
  readonly tokens: ReadonlyArray<number>
}

/** The options of one request for `count` tokens. */
const requestOptions = ({ options, round }: Continuation, count: number): SampleOptions => {
  const { seed } = options.sampling_params ?? {}
  return {
    ...options,
    num_samples: 1,
    sampling_params: {
      ...options.sampling_params,
      max_tokens: count,
      ...(typeof seed === "number" ? { seed: seedOf(seed, round) } : {})
    }
  }
}

const next = (state: Continuation) =>
  Effect.gen(function* () {
    const { prompt, sample, tokens, tokensPerRequest } = state
    const left = state.options.sampling_params!.max_tokens! - tokens.length
    const count = Math.min(tokensPerRequest, left)
    const whole = tokens.length === 0 ? prompt : ModelInput.append(prompt, ModelInput.text(tokens))
    const response = yield* sample(whole, requestOptions(state, count))
    const sequence = response.sequences[0]
    const sampled = sequence?.tokens ?? new Int32Array(0)
    const isStopped = sequence === undefined || sequence.stop_reason === "stop" || sampled.length < count
    const isLast = isStopped || count === left
    const delta: Delta = {
      tokens: sampled,
      logprobs: sequence?.logprobs,
      topk_logprobs: sequence?.topk_logprobs,
      ...(isLast
        ? {
            stop_reason: isStopped ? (sequence?.stop_reason ?? "stop") : "length",
            prompt_cache_hit_tokens: response.prompt_cache_hit_tokens
          }
        : {})
    }
    const rest: Continuation = { ...state, round: state.round + 1, tokens: [...tokens, ...sampled] }
    return [delta, isLast ? Option.none<Continuation>() : Option.some(rest)] as const
  })

/** @internal */
export const stream = (start: Continuation): Stream.Stream<Delta, TinkerError.TinkerError> =>
  Stream.paginateEffect(start, next)
