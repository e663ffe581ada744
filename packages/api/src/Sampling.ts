/**
 * Sampling sessions, requests and results.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, open, type } from "./internal/schemas.ts"
import * as ModelInput from "./ModelInput.ts"

/**
 * @since 0.1.0
 * @category schemas
 */
export const CreateSamplingSessionRequest = Schema.Struct({
  session_id: Schema.String,
  sampling_session_seq_id: Schema.Int,
  base_model: Schema.optionalWith(Schema.String, { nullable: true }),
  model_path: Schema.optionalWith(Schema.String, { nullable: true }),
  type: type("create_sampling_session")
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const CreateSamplingSessionResponse = Schema.Struct({ sampling_session_id: Schema.String })

/**
 * How to sample. `stop` is a string, strings, or token ids; `top_k` -1 turns it off; temperature 0 is greedy.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SamplingParams = Schema.Struct({
  max_tokens: Schema.optionalWith(Schema.Int.pipe(Schema.greaterThan(0)), { nullable: true }),
  seed: Schema.optionalWith(Schema.Int, { nullable: true }),
  stop: Schema.optionalWith(Schema.Union(Schema.String, Schema.Array(Schema.String), Schema.Array(Schema.Int)), {
    nullable: true
  }),
  temperature: Schema.optionalWith(Schema.Finite.pipe(Schema.greaterThanOrEqualTo(0)), {
    nullable: true,
    default: () => 1
  }),
  top_k: Schema.optionalWith(Schema.Int, { nullable: true, default: () => -1 }),
  top_p: Schema.optionalWith(Schema.Finite.pipe(Schema.greaterThan(0), Schema.lessThanOrEqualTo(1)), {
    nullable: true,
    default: () => 1
  })
})

/**
 * @since 0.1.0
 * @category models
 */
export type SamplingParams = typeof SamplingParams.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const SampleRequest = Schema.Struct({
  num_samples: Schema.optionalWith(Schema.Int.pipe(Schema.greaterThan(0)), { default: () => 1 }),
  prompt: ModelInput.ModelInput,
  sampling_params: SamplingParams,
  sampling_session_id: Schema.optionalWith(Schema.String, { nullable: true }),
  seq_id: Schema.optionalWith(Schema.Int, { nullable: true }),
  base_model: Schema.optionalWith(Schema.String, { nullable: true }),
  model_path: Schema.optionalWith(Schema.String, { nullable: true }),
  prompt_logprobs: Schema.optionalWith(Schema.Boolean, { nullable: true, default: () => false }),
  topk_prompt_logprobs: Schema.optionalWith(Schema.Int.pipe(Schema.greaterThanOrEqualTo(0)), {
    nullable: true,
    default: () => 0
  }),
  type: type("sample")
})

/**
 * @since 0.1.0
 * @category models
 */
export type SampleRequest = typeof SampleRequest.Type

const LogprobsFromSelf = Schema.declare((u): u is Float32Array => u instanceof Float32Array, {
  identifier: "Float32Array"
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
 * @since 0.1.0
 * @category schemas
 */
export const SampledSequence = Schema.Struct({
  stop_reason: open("stop", "length"),
  tokens: ModelInput.Tokens,
  logprobs: nullish(Logprobs)
})

/**
 * @since 0.1.0
 * @category models
 */
export type SampledSequence = typeof SampledSequence.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const SampleResponse = Schema.Struct({
  sequences: Schema.Array(SampledSequence),
  prompt_logprobs: nullish(Logprobs),
  topk_prompt_logprobs: nullish(Schema.Array(Schema.NullOr(Schema.Array(Schema.Tuple(Schema.Int, Schema.Finite))))),
  prompt_cache_hit_tokens: Schema.optionalWith(Schema.Int, { nullable: true, default: () => 0 }),
  type: type("sample")
})

/**
 * @since 0.1.0
 * @category models
 */
export type SampleResponse = typeof SampleResponse.Type
