/** Samples sequences for one request, in the batch of its base model. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as grammar from "../grammar/constraint.ts"
import type { Constraint } from "../grammar/constraint.ts"
import type { RowAdapter } from "../lora/rowAdapter.ts"
import type { LoadedModel } from "../model/loaded.ts"
import { userError } from "../util/errors.ts"
import * as random from "../util/random.ts"
import * as batches from "./batch.ts"
import * as prompts from "./prompt.ts"
import * as promptScores from "./promptScores.ts"
import { isLong, readLong } from "./readPrompt.ts"
import * as sampleMemory from "./sampleMemory.ts"
import * as sequences from "./sequence.ts"
import * as stopCondition from "./stopCondition.ts"

/** Sequence `i` has a stream of random numbers that depends only on a hash of the seed and `i`. */
const makeSequences = (
  seed: number,
  { num_samples, onToken }: Engine.SampleOptions,
  constraints: ReadonlyArray<Constraint>
): ReadonlyArray<sequences.Sequence> =>
  Array.from({ length: num_samples }, (_, index) =>
    sequences.make(
      random.streamKey(seed, `sample ${index}`),
      onToken === undefined ? undefined : (sampled) => onToken({ index, ...sampled }),
      constraints[index]
    )
  )

const toResponse = (
  sampled: ReadonlyArray<sequences.Sequence>,
  scores: promptScores.PromptScores,
  reused: number
): Sampling.SampleResponse => ({
  sequences: sampled.map(({ logprobs, stop_reason, tokens, topLogprobs }) => ({
    stop_reason,
    tokens: Int32Array.from(tokens),
    logprobs: Float32Array.from(logprobs),
    ...(topLogprobs.length === 0 ? {} : { topk_logprobs: topLogprobs })
  })),
  ...scores,
  prompt_cache_hit_tokens: reused,
  type: "sample"
})

const constraintsOf = (model: LoadedModel, { json_schema, num_samples, sampling_params }: Engine.SampleOptions) =>
  json_schema === undefined ? Effect.succeed([]) : grammar.make(model, json_schema, num_samples, sampling_params.stop)

/** Samples from a base model, or from it with an adapter. @internal */
export const sample = (
  model: LoadedModel,
  adapter: RowAdapter,
  request: Engine.SampleOptions
): Effect.Effect<Sampling.SampleResponse, Engine.EngineError> =>
  Effect.gen(function* () {
    const { sampling_params: params, topk_sample_logprobs: topCount = 0 } = request
    const { maxTokens, tokens } = yield* prompts.fromRequest(model, request)
    const isEnd = yield* stopCondition.make(model, params.stop)
    const seed = params.seed ?? (yield* Random.nextIntBetween(0, 2 ** 31))
    const options: sequences.SequenceOptions = {
      maxTokens,
      sampling: { temperature: params.temperature, topK: params.top_k, topP: params.top_p },
      isEnd,
      topCount
    }
    const wantsAllLogits = prompts.needsAllLogits(request)
    const tooLarge = sampleMemory.problem(model, tokens.length, maxTokens, wantsAllLogits, adapter.size)
    if (tooLarge !== undefined) return yield* userError(tooLarge)
    const batch = batches.of(model)
    const known = batch.prefixes.find(adapter, tokens)?.length ?? 0
    const isInBlocks = isLong(model, tokens.length - (model.deterministic ? 0 : known), wantsAllLogits)
    const prompt = isInBlocks ? yield* readLong(model, adapter, tokens, wantsAllLogits) : undefined
    if (prompt !== undefined && !model.deterministic) batch.prefixes.add(adapter, prompt)
    const constraints = yield* constraintsOf(model, request)
    const all = makeSequences(seed, request, constraints)
    const needs = tokens.length + maxTokens
    const read = yield* batch
      .run({ adapter, tokens, wantsAllLogits, sequences: all, options, prompt, needs })
      .pipe(Effect.ensuring(Effect.sync(() => constraints.forEach((constraint) => constraint.dispose()))))
    const problem = all.find((sequence) => sequence.problem !== undefined)?.problem
    if (problem !== undefined) return yield* userError(`json_schema: ${problem}`)
    return toResponse(all, yield* promptScores.score(model, read, request, seed), read.reused)
  })
