/**
 * Sampling sessions, requests and results.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as arbitraries from "./internal/arbitraries/tensors.ts"
import { nullish, nullishWithDefault, withDefault } from "./internal/schemas/optional.ts"
import { openEnum, typeField } from "./internal/schemas/wire.ts"
import * as ModelInput from "./ModelInput.ts"
import * as TensorData from "./TensorData.ts"

/**
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
 * @since 0.1.0
 * @category schemas
 */
export const CreateSamplingSessionResponse = Schema.Struct({ sampling_session_id: Schema.String })

/**
 * Asks for an id of one's own among the clients of a sampling session, whose first client is 0.
 *
 * @since 0.1.0
 * @category schemas
 */
export const JoinSamplingSessionRequest = Schema.Struct({
  sampling_session_id: Schema.String,
  type: typeField("join_sampling_session")
})

/**
 * The client numbers its requests from `client_counter` times 10^9 upwards.
 *
 * @since 0.1.0
 * @category schemas
 */
export const JoinSamplingSessionResponse = Schema.Struct({
  client_counter: Schema.Int,
  type: typeField("join_sampling_session")
})

/**
 * What a sampling session samples from.
 *
 * @since 0.1.0
 * @category schemas
 */
export const GetSamplerResponse = Schema.Struct({
  sampler_id: Schema.String,
  base_model: Schema.String,
  model_path: nullish(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type GetSamplerResponse = typeof GetSamplerResponse.Type

/**
 * How to sample. `stop` is a string, strings, or token ids, and an empty list stops nowhere, not even at the end of the
 * text; `top_k` -1 turns it off; temperature 0 is greedy.
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
 * @since 0.1.0
 * @category models
 */
export type SamplingParams = typeof SamplingParams.Type

/**
 * A request to sample. Beyond the prompt's own logprobs, for each prompt position but the first:
 *
 * - `topk_prompt_logprobs` and `topk_sample_logprobs`: the most likely tokens, for prompt and sampled positions.
 * - `target_prompt_logprobs`: an int64 tensor `[prompt - 1, K]` of token ids to score, where row `i` belongs to prompt
 *   position `i + 1`; a cell of -1, or one that a sparse tensor does not list, asks for nothing.
 * - `prompt_alt_tokens_k`: so many draws at the request's temperature.
 * - `prompt_logprobs_last_n`: only the last so many prompt tokens are scored; from 1 to the prompt's length less 1.
 *
 * `record_stability_info` keeps what `stable_reinforce` needs of each sequence.
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
  type: typeField("sample")
})

/**
 * @since 0.1.0
 * @category models
 */
export type SampleRequest = typeof SampleRequest.Type

const LogprobsFromSelf = Schema.declare((u): u is Float32Array => u instanceof Float32Array, {
  identifier: "Float32Array",
  arbitrary: arbitraries.logprobs
})
const NumbersFromSelf: Schema.Schema<ReadonlyArray<number | null>> = Schema.declare(
  (u): u is ReadonlyArray<number | null> =>
    Array.isArray(u) && u.every((value) => value === null || typeof value === "number"),
  { identifier: "Logprobs", jsonSchema: { type: "array", items: { type: ["number", "null"] } } }
)

/**
 * Logprobs: numbers or `null` on the wire, a `Float32Array` in memory in which `NaN` stands for `null` (nothing comes
 * before the first prompt token, so it has no logprob).
 *
 * @since 0.1.0
 * @category schemas
 */
export const Logprobs: Schema.Schema<Float32Array, ReadonlyArray<number | null>> = Schema.transform(
  NumbersFromSelf,
  LogprobsFromSelf,
  {
    strict: true,
    decode: (values): Float32Array => Float32Array.from(values, (value) => value ?? Number.NaN),
    encode: (logprobs) => Array.from(logprobs, (value) => (Number.isNaN(value) ? null : value))
  }
)

/**
 * The most likely tokens of each position, as pairs of token id and logprob; `null` where a position was not scored.
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
 * A sampled sequence. Its `sequence_id` is the one that the request was answered with.
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
 * Draws from the model's distribution at each prompt position but the first: token ids (int64) and their logprobs
 * (float32), both of shape `[prompt - 1, k]`. Row `i` has alternatives to prompt token `i + 1`.
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
 * What was sampled. `target_prompt_logprobs` has the shape and layout of the request's, with 0 where nothing was asked
 * for; `prompt_cache_hit_tokens` counts the prompt once, however many sequences were sampled from it.
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
