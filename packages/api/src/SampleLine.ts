/**
 * Samples that are read while they are sampled: lines of JSON. A service of this project streams them; clients that know
 * nothing of it see no difference.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, nullishWithDefault } from "./internal/schemas/optional.ts"
import { openEnum, taggedUnion } from "./internal/schemas/wire.ts"
import * as ModelInput from "./ModelInput.ts"
import * as Sampling from "./Sampling.ts"

/**
 * Tokens of a streamed sample that were sampled since the last piece, of one sequence. The last piece of each sequence has
 * its `stop_reason`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SampleDelta = Schema.Struct({
  type: Schema.Literal("sample_delta"),
  /** which sequence it extends, from 0 */
  index: Schema.NonNegativeInt,
  tokens: ModelInput.Tokens,
  logprobs: nullish(Sampling.Logprobs),
  topk_logprobs: nullish(Sampling.TopkLogprobs),
  stop_reason: nullish(openEnum("stop", "length"))
})

/**
 * @since 0.1.0
 * @category models
 */
export type SampleDelta = typeof SampleDelta.Type

/**
 * The last line of a streamed sample: all sequences have ended.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SampleEnd = Schema.Struct({
  type: Schema.Literal("sample_end"),
  prompt_cache_hit_tokens: nullishWithDefault(Schema.Int, () => 0)
})

/**
 * The last line of a streamed sample that failed.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SampleFailed = Schema.Struct({
  type: Schema.Literal("sample_failed"),
  error: Schema.String,
  category: openEnum("user", "server", "unknown")
})

/**
 * A line of a streamed sample. A service that streams answers a sample request with the header `Accept:
 * application/x-ndjson` with these lines, as they come, in place of the envelope of a future. Empty lines keep the
 * connection alive.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SampleLine = taggedUnion("type", SampleDelta, SampleEnd, SampleFailed)

/**
 * @since 0.1.0
 * @category models
 */
export type SampleLine = typeof SampleLine.Type

/**
 * The media type of a streamed sample.
 *
 * @since 0.1.0
 * @category constants
 */
export const contentType = "application/x-ndjson"
