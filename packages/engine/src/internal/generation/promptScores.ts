/** Scores a prompt: logprobs of its tokens and of others, and alternative tokens. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as Engine from "@effect-tinker/server/Engine"
import type { LoadedModel } from "../model/loaded.ts"
import * as random from "../util/random.ts"
import * as distribution from "./distribution.ts"
import { logitsAt, type ReadPrompt } from "./prompt.ts"

type PromptScores = Pick<
  Sampling.SampleResponse,
  "prompt_logprobs" | "topk_prompt_logprobs" | "target_prompt_logprobs" | "prompt_alt_tokens"
>

/** The logprobs of all tokens at a prompt position from 1 on. The last one that was computed is kept. */
const makePredictions = (model: LoadedModel, allLogits: Float32Array) => {
  let last: { readonly position: number; readonly logprobs: Float64Array } = {
    position: 0,
    logprobs: new Float64Array(0)
  }
  return (position: number): Float64Array => {
    if (last.position !== position) {
      last = { position, logprobs: distribution.logprobs(logitsAt(model, allLogits, position - 1)) }
    }
    return last.logprobs
  }
}

type Predictions = ReturnType<typeof makePredictions>

/** The logprobs of the prompt's tokens, and the most likely tokens, from a position on; none before it. */
const scoreTokens = (
  predictions: Predictions,
  tokens: Int32Array,
  { prompt_logprobs, prompt_logprobs_last_n, topk_prompt_logprobs }: Engine.SampleOptions
): PromptScores => {
  if (!prompt_logprobs && topk_prompt_logprobs === 0) return {}
  const logprobs = new Float32Array(tokens.length).fill(Number.NaN)
  const top: Array<ReadonlyArray<readonly [number, number]> | null> = Array.from(tokens, () => null)
  for (let i = Math.max(1, tokens.length - (prompt_logprobs_last_n ?? tokens.length)); i < tokens.length; i++) {
    const predicted = predictions(i)
    logprobs[i] = predicted[tokens[i]!]!
    if (topk_prompt_logprobs > 0) top[i] = distribution.topTokens(predicted, topk_prompt_logprobs)
  }
  return {
    ...(prompt_logprobs ? { prompt_logprobs: logprobs } : {}),
    ...(topk_prompt_logprobs > 0 ? { topk_prompt_logprobs: top } : {})
  }
}

/** Tokens drawn at each position but the first, by random numbers that depend on the seed and the position alone. */
const drawAlternatives = (
  model: LoadedModel,
  allLogits: Float32Array,
  positions: number,
  k: number,
  temperature: number,
  seed: number
): Sampling.PromptAltTokens => {
  const shape = [positions, k]
  const tokens = new Int32Array(positions * k)
  const logprobs = new Float32Array(positions * k)
  const weights = new Float64Array(model.config.vocab_size)
  for (let row = 0; row < positions; row++) {
    const logits = logitsAt(model, allLogits, row)
    const key = random.streamKey(seed, `alternatives ${row + 1}`)
    for (let j = 0; j < k; j++) {
      const drawn = distribution.sampleToken(logits, { temperature, topK: -1, topP: 1 }, key, j, weights)
      tokens[row * k + j] = drawn.token
      logprobs[row * k + j] = drawn.logprob
    }
  }
  return { tokens: { dtype: "int64", data: tokens, shape }, logprobs: { dtype: "float32", data: logprobs, shape } }
}

/** @internal */
export const score = (
  model: LoadedModel,
  { allLogits, tokens }: ReadPrompt,
  request: Engine.SampleOptions,
  seed: number
): PromptScores => {
  if (allLogits === undefined) return {}
  const { prompt_alt_tokens_k: k = 0, sampling_params, target_prompt_logprobs: targets } = request
  const predictions = makePredictions(model, allLogits)
  const { temperature } = sampling_params
  return {
    ...scoreTokens(predictions, tokens, request),
    ...(targets === undefined
      ? {}
      : { target_prompt_logprobs: Engine.scoreTargets(targets, (i, token) => predictions(i)[token]!) }),
    ...(k === 0
      ? {}
      : { prompt_alt_tokens: drawAlternatives(model, allLogits, tokens.length - 1, k, temperature, seed) })
  }
}
