/**
 * Saving and loading: training states, which carry the optimizer, and weights for sampling.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, type } from "./internal/schemas.ts"

const seqId = Schema.optionalWith(Schema.Int, { nullable: true })
const seconds = Schema.optionalWith(Schema.Int.pipe(Schema.greaterThan(0)), { nullable: true })

/**
 * @since 0.1.0
 * @category schemas
 */
export const SaveWeightsRequest = Schema.Struct({
  model_id: Schema.String,
  path: Schema.optionalWith(Schema.String, { nullable: true }),
  seq_id: seqId,
  ttl_seconds: seconds,
  overwrite: Schema.optionalWith(Schema.Boolean, { nullable: true, default: () => false }),
  type: type("save_weights")
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const SaveWeightsResponse = Schema.Struct({ path: Schema.String, type: type("save_weights") })

/**
 * @since 0.1.0
 * @category models
 */
export type SaveWeightsResponse = typeof SaveWeightsResponse.Type

/**
 * A named save carries `path`; an unnamed one carries `sampling_session_seq_id` and answers with a sampling session.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SaveWeightsForSamplerRequest = Schema.Struct({
  model_id: Schema.String,
  path: Schema.optionalWith(Schema.String, { nullable: true }),
  sampling_session_seq_id: Schema.optionalWith(Schema.Int, { nullable: true }),
  seq_id: seqId,
  ttl_seconds: seconds,
  type: type("save_weights_for_sampler")
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const SaveWeightsForSamplerResponse = Schema.Struct({
  path: nullish(Schema.String),
  sampling_session_id: nullish(Schema.String),
  type: type("save_weights_for_sampler")
})

/**
 * @since 0.1.0
 * @category models
 */
export type SaveWeightsForSamplerResponse = typeof SaveWeightsForSamplerResponse.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const LoadWeightsRequest = Schema.Struct({
  model_id: Schema.String,
  path: Schema.String,
  optimizer: Schema.Boolean,
  seq_id: seqId,
  type: type("load_weights")
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const LoadWeightsResponse = Schema.Struct({
  path: nullish(Schema.String),
  model_id: nullish(Schema.String),
  type: type("load_weights")
})

/**
 * @since 0.1.0
 * @category models
 */
export type LoadWeightsResponse = typeof LoadWeightsResponse.Type
