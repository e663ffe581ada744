/** A sampler of the test engine. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { Rows } from "./distribution.ts"
import * as samples from "./samples.ts"
import { checkLength, maxContextLength, userError, type Vocabulary } from "./vocabulary.ts"

/** The scores of a prompt that a request asks for. */
const promptScores = (rows: Rows, prompt: Int32Array, options: Engine.SampleOptions, seed: number) => {
  const { prompt_alt_tokens_k: k = 0, prompt_logprobs, target_prompt_logprobs: targets, topk_prompt_logprobs } = options
  const lastN = options.prompt_logprobs_last_n ?? prompt.length
  return {
    ...(prompt_logprobs ? { prompt_logprobs: samples.promptLogprobs(rows, prompt, lastN) } : {}),
    ...(topk_prompt_logprobs > 0
      ? { topk_prompt_logprobs: samples.promptTopTokens(rows, prompt, topk_prompt_logprobs, lastN) }
      : {}),
    ...(targets === undefined
      ? {}
      : {
          target_prompt_logprobs: Engine.scoreTargets(targets, (position, token) =>
            samples.logprobAt(rows, prompt, position, token)
          )
        }),
    ...(k === 0
      ? {}
      : { prompt_alt_tokens: samples.alternatives(rows, prompt, k, options.sampling_params.temperature, seed) })
  }
}

/** Tells the tokens in the order in which a model samples them, with a pause before each position. */
const tell = (
  { onToken }: Engine.SampleOptions,
  pause: Effect.Effect<void>,
  { sequences }: Pick<Sampling.SampleResponse, "sequences">
): Effect.Effect<void> => {
  if (onToken === undefined) return Effect.void
  const length = Math.max(...sequences.map(({ tokens }) => tokens.length))
  const tellAt = (position: number) =>
    sequences.forEach(({ logprobs, stop_reason, tokens, topk_logprobs }, index) => {
      if (position >= tokens.length) return
      onToken({
        index,
        token: tokens[position]!,
        logprob: logprobs![position]!,
        topk: topk_logprobs?.[position] ?? undefined,
        stop_reason: position < tokens.length - 1 ? undefined : stop_reason === "stop" ? "stop" : "length"
      })
    })
  return Effect.forEach(
    Array.from({ length }, (_, position) => position),
    (position) => Effect.andThen(pause, () => tellAt(position)),
    { discard: true }
  )
}

/** @internal */
export const sample = Effect.fnUntraced(function* (
  vocabulary: Vocabulary,
  rows: Rows,
  options: Engine.SampleOptions,
  pause: Effect.Effect<void> | undefined
): Effect.fn.Return<Sampling.SampleResponse, Engine.EngineError> {
  const prompt = yield* vocabulary.checkInput(options.prompt, "prompt")
  const { target_prompt_logprobs: targets, topk_sample_logprobs = 0 } = options
  const problem = targets === undefined ? undefined : Engine.targetProblem(targets, vocabulary.size)
  if (problem !== undefined) return yield* userError(problem)
  const { max_tokens, seed = 0 } = options.sampling_params
  const scores = promptScores(rows, prompt, options, seed)
  // the first token after a prompt that is only scored needs no room in the context
  const room = Math.max(maxContextLength - prompt.length, Object.keys(scores).length > 0 ? 1 : 0)
  const count = max_tokens ?? room
  if (count > room) yield* checkLength(prompt.length + count, "the prompt with the tokens to sample")
  const response = {
    sequences: Array.from({ length: options.num_samples }, (_, index) =>
      samples.sample(
        rows,
        prompt,
        options.sampling_params,
        count,
        samples.streamSeed(seed, index),
        topk_sample_logprobs
      )
    ),
    ...scores,
    prompt_cache_hit_tokens: 0,
    type: "sample" as const
  }
  if (pause !== undefined) yield* tell(options, pause, response)
  return response
})
