/** Scores a prompt: logprobs of its tokens and of others, and alternative tokens. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as TensorData from "@effect-tinker/api/TensorData"
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type { LoadedModel } from "../model/loaded.ts"
import * as random from "../util/random.ts"
import * as distribution from "./distribution.ts"
import type { ReadPrompt } from "./readPrompt.ts"

/** @internal */
export type PromptScores = Pick<
  Sampling.SampleResponse,
  "prompt_logprobs" | "topk_prompt_logprobs" | "target_prompt_logprobs" | "prompt_alt_tokens"
>

/** What the model predicts of a prompt position from 1 on. */
interface Prediction {
  readonly position: number
  readonly logits: Float32Array
  /** of all tokens */
  readonly logprobs: () => Float64Array
}

/** Reads the predictions of all positions in order, and has the scores afterwards. */
interface Scorer {
  readonly read: (prediction: Prediction) => void
  readonly finish: () => PromptScores
}

/** The logprobs of the prompt's tokens, and the most likely tokens, from a position on; none before it. */
const tokenScorer = (
  tokens: Int32Array,
  { prompt_logprobs, prompt_logprobs_last_n, topk_prompt_logprobs }: Engine.SampleOptions
): Scorer => {
  const logprobs = new Float32Array(tokens.length).fill(Number.NaN)
  const top: Array<ReadonlyArray<readonly [number, number]> | null> = Array.from(tokens, () => null)
  const start = tokens.length - (prompt_logprobs_last_n ?? tokens.length)
  return {
    read: ({ logprobs: all, position }) => {
      if (position < start) return
      logprobs[position] = all()[tokens[position]!]!
      if (topk_prompt_logprobs > 0) top[position] = distribution.topTokens(all(), topk_prompt_logprobs)
    },
    finish: () => ({
      ...(prompt_logprobs ? { prompt_logprobs: logprobs } : {}),
      ...(topk_prompt_logprobs > 0 ? { topk_prompt_logprobs: top } : {})
    })
  }
}

/** The logprobs of chosen tokens. */
const targetScorer = (targets: TensorData.TensorData): Scorer => {
  const cells: Array<readonly [position: number, token: number]> = []
  Engine.scoreTargets(targets, (position, token) => {
    cells.push([position, token])
    return 0
  })
  const values = new Float32Array(cells.length)
  let next = 0
  return {
    read: ({ logprobs, position }) => {
      for (; next < cells.length && cells[next]![0] === position; next++) values[next] = logprobs()[cells[next]![1]]!
    },
    finish: () => {
      let cell = 0
      return { target_prompt_logprobs: Engine.scoreTargets(targets, () => values[cell++]!) }
    }
  }
}

/** Tokens drawn at each position but the first, by random numbers that depend on the seed and the position alone. */
const alternativesScorer = (
  model: LoadedModel,
  positions: number,
  k: number,
  temperature: number,
  seed: number
): Scorer => {
  const shape = [positions, k]
  const tokens = new Int32Array(positions * k)
  const logprobs = new Float32Array(positions * k)
  const weights = new Float64Array(model.config.vocab_size)
  return {
    read: ({ logits, position }) => {
      const key = random.streamKey(seed, `alternatives ${position}`)
      for (let j = 0; j < k; j++) {
        const drawn = distribution.sampleToken(logits, { temperature, topK: -1, topP: 1 }, key, j, weights)
        tokens[(position - 1) * k + j] = drawn.token
        logprobs[(position - 1) * k + j] = drawn.logprob
      }
    },
    finish: () => ({
      prompt_alt_tokens: {
        tokens: { dtype: "int64", data: tokens, shape },
        logprobs: { dtype: "float32", data: logprobs, shape }
      }
    })
  }
}

const scorersOf = (
  model: LoadedModel,
  tokens: Int32Array,
  request: Engine.SampleOptions,
  seed: number
): ReadonlyArray<Scorer> => {
  const { prompt_alt_tokens_k: k = 0, sampling_params, target_prompt_logprobs: targets } = request
  const wantsTokens = request.prompt_logprobs || request.topk_prompt_logprobs > 0
  return [
    ...(wantsTokens ? [tokenScorer(tokens, request)] : []),
    ...(targets === undefined ? [] : [targetScorer(targets)]),
    ...(k === 0 ? [] : [alternativesScorer(model, tokens.length - 1, k, sampling_params.temperature, seed)])
  ]
}

/** The predictions by some of the logits: those of the position `first` on predict the position after it. */
const predictionsOf = function* (first: number, logits: Float32Array, vocabSize: number): Generator<Prediction> {
  for (let row = 0; row < logits.length / vocabSize; row++) {
    const own = logits.subarray(row * vocabSize, (row + 1) * vocabSize)
    let logprobs: Float64Array | undefined
    yield { position: first + row + 1, logits: own, logprobs: () => (logprobs ??= distribution.logprobs(own)) }
  }
}

/** @internal */
export const score = (
  model: LoadedModel,
  { forEachLogits, tokens }: ReadPrompt,
  request: Engine.SampleOptions,
  seed: number
): Effect.Effect<PromptScores, Engine.EngineError> => {
  if (forEachLogits === undefined) return Effect.succeed({})
  const scorers = scorersOf(model, tokens, request, seed)
  const read = forEachLogits((first, logits) => {
    for (const prediction of predictionsOf(first, logits, model.config.vocab_size)) {
      for (const scorer of scorers) scorer.read(prediction)
    }
  })
  return Effect.map(read, () => Object.assign({}, ...scorers.map(({ finish }) => finish())) as PromptScores)
}
