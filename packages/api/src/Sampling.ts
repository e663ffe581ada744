/**
 * Sampling sessions, requests and results.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { enforce, maxLength } from "./internal/schemas/enforceable.ts"
import { nullableLogprobs } from "./internal/schemas/logprobs.ts"
import { nullish, nullishWithDefault, withDefault } from "./internal/schemas/optional.ts"
import { openEnum, typeField } from "./internal/schemas/wire.ts"
import * as ModelInput from "./ModelInput.ts"
import * as TensorData from "./TensorData.ts"

/**
 * Creates a sampling session of a base model or of saved weights.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CreateSamplingSessionRequest = Schema.Struct({
  session_id: Schema.String,
  sampling_session_seq_id: Schema.Int,
  base_model: nullish(Schema.String),
  model_path: nullish(Schema.String),
  type: typeField("create_sampling_session")
})

/**
 * @since 0.1.0
 * @category models
 */
export type CreateSamplingSessionRequest = typeof CreateSamplingSessionRequest.Type

/**
 * The id of the new sampling session. Some servers return the envelope of a future instead, whose result has the id.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CreateSamplingSessionResponse = Schema.Struct({
  sampling_session_id: nullish(Schema.String),
  request_id: nullish(Schema.String)
})

/**
 * Requests a client number in a sampling session. The first client has the number 0.
 *
 * @since 0.1.0
 * @category schemas
 */
export const JoinSamplingSessionRequest = Schema.Struct({
  sampling_session_id: Schema.String,
  type: typeField("join_sampling_session")
})

/**
 * The number of the client. Its `seq_id`s start at `client_counter` times 10^9.
 *
 * @since 0.1.0
 * @category schemas
 */
export const JoinSamplingSessionResponse = Schema.Struct({
  client_counter: Schema.Int,
  type: typeField("join_sampling_session")
})

/**
 * The model that a sampling session samples from. Services that name the tokenizer of a model in training name it here too.
 *
 * @since 0.1.0
 * @category schemas
 */
export const GetSamplerResponse = Schema.Struct({
  sampler_id: Schema.String,
  base_model: Schema.String,
  model_path: nullish(Schema.String),
  tokenizer_id: nullish(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type GetSamplerResponse = typeof GetSamplerResponse.Type

/**
 * How to sample. `stop` is a string, strings, or token ids; with an empty list, sampling does not even stop at the end of
 * the text. A `top_k` of -1 disables it; a temperature of 0 is greedy.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SamplingParams = Schema.Struct({
  max_tokens: nullish(Schema.Int.pipe(Schema.greaterThan(0))),
  seed: nullish(Schema.Int),
  stop: nullish(Schema.Union(Schema.String, Schema.Array(Schema.String), Schema.Array(Schema.Int))),
  temperature: nullishWithDefault(Schema.Finite.pipe(Schema.greaterThanOrEqualTo(0)), () => 1),
  top_k: nullishWithDefault(Schema.Int, () => -1),
  top_p: nullishWithDefault(Schema.Finite.pipe(Schema.greaterThan(0), Schema.lessThanOrEqualTo(1)), () => 1)
})

/**
 * Some of the parameters, for requests of one's own API: what is absent stays absent, so that `sample` fills it in.
 *
 * @since 0.1.0
 * @category schemas
 */
export const PartialSamplingParams = Schema.partialWith(Schema.typeSchema(SamplingParams), { exact: true })

/**
 * @since 0.1.0
 * @category models
 */
export type SamplingParams = typeof SamplingParams.Type

/**
 * A request to sample. It can request more than the logprobs of the prompt, for each prompt position except the first:
 *
 * - `topk_prompt_logprobs` and `topk_sample_logprobs`: the number of most likely tokens per prompt or sampled position.
 * - `target_prompt_logprobs`: token ids to score, as an int64 tensor `[prompt - 1, K]` whose row `i` belongs to prompt
 *   position `i + 1`. A cell of -1, and a cell without a value in a sparse tensor, is not scored.
 * - `prompt_alt_tokens_k`: the number of tokens to draw per position, at the temperature of the request.
 * - `prompt_logprobs_last_n`: score only the last `n` prompt tokens, where `n` is from 1 to the prompt length minus 1.
 *
 * `record_stability_info` makes the service record what `stable_reinforce` needs of each sequence. `json_schema`, as text,
 * keeps each sequence to JSON that it describes: ours alone, where `ClientConfigResponse` says `sample_json_schemas`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SampleRequest = Schema.Struct({
  num_samples: withDefault(Schema.Int.pipe(Schema.greaterThan(0)), () => 1),
  prompt: ModelInput.ModelInput,
  sampling_params: SamplingParams,
  sampling_session_id: nullish(Schema.String),
  seq_id: nullish(Schema.Int),
  base_model: nullish(Schema.String),
  model_path: nullish(Schema.String),
  prompt_logprobs: nullishWithDefault(Schema.Boolean, () => false),
  topk_prompt_logprobs: nullishWithDefault(Schema.Int.pipe(Schema.greaterThanOrEqualTo(0)), () => 0),
  topk_sample_logprobs: nullish(Schema.NonNegativeInt),
  target_prompt_logprobs: nullish(TensorData.TensorData),
  prompt_alt_tokens_k: nullish(Schema.NonNegativeInt),
  prompt_logprobs_last_n: nullish(Schema.Int.pipe(Schema.greaterThan(0))),
  record_stability_info: nullish(Schema.Boolean),
  json_schema: nullish(Schema.String.pipe(Schema.maxLength(maxLength))),
  type: typeField("sample")
})

/**
 * @since 0.1.0
 * @category models
 */
export type SampleRequest = typeof SampleRequest.Type

/**
 * A JSON schema, as text, in a form of which services enforce all; or the path to what they cannot, and the reason.
 *
 * @since 0.1.0
 * @category validation
 */
export const enforceJsonSchema = (
  text: string,
  path = "json_schema"
): Either.Either<string, { readonly path: string; readonly reason: string }> => {
  const enforced = enforce(text, path)
  return typeof enforced === "string" ? Either.right(enforced) : Either.left(enforced)
}

/**
 * Logprobs: numbers or `null` on the wire, a `Float32Array` with `NaN` for `null` in memory. The first prompt token, which
 * nothing predicts, has no logprob.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Logprobs: Schema.Schema<Float32Array, ReadonlyArray<number | null>> = nullableLogprobs

/**
 * The most likely tokens per position, as pairs of token id and logprob; `null` for a position that was not scored.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TopkLogprobs = Schema.Array(Schema.NullOr(Schema.Array(Schema.Tuple(Schema.Int, Schema.Finite))))

/**
 * @since 0.1.0
 * @category models
 */
export type TopkLogprobs = typeof TopkLogprobs.Type

/**
 * A sampled sequence. Its `sequence_id` comes from the envelope of the future.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SampledSequence = Schema.Struct({
  stop_reason: openEnum("stop", "length"),
  tokens: ModelInput.Tokens,
  logprobs: nullish(Logprobs),
  topk_logprobs: nullish(TopkLogprobs),
  sequence_id: nullish(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type SampledSequence = typeof SampledSequence.Type

/**
 * A sampled sequence with the logprob of each of its tokens.
 *
 * @since 0.1.0
 * @category models
 */
export type ScoredSequence = SampledSequence & { readonly logprobs: Float32Array }

/**
 * A service returned sequences without the logprob of each token.
 *
 * @since 0.1.0
 * @category errors
 */
export class LogprobsMissing extends Schema.TaggedError<LogprobsMissing>("@effect-tinker/api/Sampling/LogprobsMissing")(
  "LogprobsMissing",
  { path: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `${this.path} ${this.reason}: train on samples of a service that returns logprobs`
  }
}

/**
 * The sequences, with logprobs in their type: one that is finite for each token of each, or the path to what is missing.
 *
 * @since 0.1.0
 * @category validation
 */
export const withLogprobs = (
  sequences: ReadonlyArray<SampledSequence>
): Either.Either<ReadonlyArray<ScoredSequence>, LogprobsMissing> => {
  for (const [i, { logprobs, tokens }] of sequences.entries()) {
    const path = `sequences[${i}].logprobs`
    if (logprobs === undefined) return Either.left(new LogprobsMissing({ path, reason: "is missing" }))
    if (logprobs.length !== tokens.length) {
      const reason = `has the length ${logprobs.length}, its tokens ${tokens.length}`
      return Either.left(new LogprobsMissing({ path, reason }))
    }
    const bad = logprobs.findIndex((value) => !Number.isFinite(value))
    if (bad >= 0) return Either.left(new LogprobsMissing({ path: `${path}[${bad}]`, reason: "is not a finite number" }))
  }
  return Either.right(sequences as ReadonlyArray<ScoredSequence>)
}

/**
 * Tokens drawn from the model's distribution at each prompt position except the first: token ids (int64) and their
 * logprobs (float32), both of shape `[prompt - 1, k]`. Row `i` has alternatives to prompt token `i + 1`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const PromptAltTokens = Schema.Struct({
  tokens: TensorData.TensorData,
  logprobs: TensorData.TensorData
})

/**
 * @since 0.1.0
 * @category models
 */
export type PromptAltTokens = typeof PromptAltTokens.Type

/**
 * The result of a sample. `target_prompt_logprobs` has the shape and layout of the tensor in the request, with 0 for cells
 * that were not scored. `prompt_cache_hit_tokens` counts the prompt once, however many sequences were sampled.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SampleResponse = Schema.Struct({
  sequences: Schema.Array(SampledSequence),
  prompt_logprobs: nullish(Logprobs),
  topk_prompt_logprobs: nullish(TopkLogprobs),
  target_prompt_logprobs: nullish(TensorData.TensorData),
  prompt_alt_tokens: nullish(PromptAltTokens),
  prompt_cache_hit_tokens: nullishWithDefault(Schema.Int, () => 0),
  type: typeField("sample")
})

/**
 * @since 0.1.0
 * @category models
 */
export type SampleResponse = typeof SampleResponse.Type
