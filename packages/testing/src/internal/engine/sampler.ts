/** A sampler of the test engine. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as bigram from "./bigram.ts"
import { checkLength, maxContextLength, type Vocabulary } from "./vocabulary.ts"

/** @internal */
export const sample = Effect.fnUntraced(function* (
  vocabulary: Vocabulary,
  table: bigram.Table,
  options: Engine.SampleOptions
): Effect.fn.Return<Sampling.SampleResponse, Engine.EngineError> {
  const prompt = yield* vocabulary.checkInput(options.prompt, "prompt")
  const { max_tokens, seed } = options.sampling_params
  const count = max_tokens ?? maxContextLength - prompt.length
  yield* checkLength(prompt.length + count, "the prompt with the tokens to sample")
  const scored = bigram.promptLogprobs(table, prompt, options.topk_prompt_logprobs)
  return {
    sequences: Array.from({ length: options.num_samples }, (_, index) =>
      bigram.sample(table, prompt, options.sampling_params, count, bigram.streamSeed(seed ?? 0, index))
    ),
    ...(options.prompt_logprobs ? { prompt_logprobs: scored.logprobs } : {}),
    ...(options.topk_prompt_logprobs > 0 ? { topk_prompt_logprobs: scored.top } : {}),
    prompt_cache_hit_tokens: 0,
    type: "sample" as const
  }
})
