/**
 * Futures: an operation returns a request id immediately, and the result is polled by that id.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, withDefault } from "./internal/schemas/optional.ts"
import { openEnum, typeField } from "./internal/schemas/wire.ts"

/**
 * The immediate response to an operation. For `asample`, `sample_sequence_ids` has the ids of the result's sequences, in
 * order; the result does not repeat them.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FutureEnvelope = Schema.Struct({
  request_id: Schema.String,
  model_id: nullish(Schema.String),
  sample_sequence_ids: nullish(Schema.Array(Schema.String))
})

/**
 * @since 0.1.0
 * @category models
 */
export type FutureEnvelope = typeof FutureEnvelope.Type

/**
 * Polls for the result of one operation. With `allow_metadata_only`, a large result is announced, not sent.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RetrieveFutureRequest = Schema.Struct({
  request_id: Schema.String,
  allow_metadata_only: withDefault(Schema.Boolean, () => false)
})

/**
 * The result is not ready; poll again.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TryAgain = Schema.Struct({
  type: Schema.Literal("try_again"),
  request_id: nullish(Schema.String),
  queue_state: nullish(openEnum("active", "paused_capacity", "paused_rate_limit")),
  queue_state_reason: nullish(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type TryAgain = typeof TryAgain.Type

/**
 * The result is ready but large; poll again with `allow_metadata_only` false.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CompleteMetadata = Schema.Struct({
  status: Schema.Literal("complete_metadata"),
  response_payload_size: nullish(Schema.Int)
})

/**
 * Whose fault a failure is.
 *
 * @since 0.1.0
 * @category models
 */
export type Category = "user" | "server" | "unknown"

/**
 * The operation failed.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RequestFailed = Schema.Struct({
  error: Schema.String,
  category: nullish(openEnum("user", "server", "unknown"))
})

/**
 * The state or the result of an operation. The schema of the result depends on the request type.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RetrieveFutureResponse = Schema.Unknown.annotations({
  identifier: "RetrieveFutureResponse",
  description: "TryAgain, CompleteMetadata, RequestFailed, or the result of the request type"
})

/**
 * Polls a sampling session for requests that have completed. `cloned_sampler_id` is the quotient of `seq_id` and 10^9: 0
 * for the first client of the session. `prev_cursor` is the cursor of the previous response, initially 0. With a `timeout`
 * of 0 the service responds immediately. It may evict the results of `retrieved_request_ids`, which have arrived.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RetrieveFuturesRequest = Schema.Struct({
  target: Schema.Struct({
    type: typeField("sampling_session"),
    sampling_session_id: Schema.String,
    cloned_sampler_id: withDefault(Schema.Int, () => 0)
  }),
  prev_cursor: withDefault(Schema.Int, () => 0),
  timeout: nullish(Schema.Finite),
  retrieved_request_ids: withDefault(Schema.Array(Schema.String), () => [])
})

/**
 * @since 0.1.0
 * @category models
 */
export type RetrieveFuturesRequest = typeof RetrieveFuturesRequest.Type

/**
 * A completed request. A finished one has the uncompressed size of its payload in bytes.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FutureCompletion = Schema.Struct({
  state: openEnum("finished", "failed"),
  request_id: Schema.String,
  response_payload_uncompressed_size: nullish(Schema.Int)
})

/**
 * @since 0.1.0
 * @category models
 */
export type FutureCompletion = typeof FutureCompletion.Type

/**
 * The requests that have completed since the cursor of the request, and the next cursor.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RetrieveFuturesResponse = Schema.Struct({
  completions: Schema.Array(FutureCompletion),
  cursor: Schema.Int
})

/**
 * @since 0.1.0
 * @category models
 */
export type RetrieveFuturesResponse = typeof RetrieveFuturesResponse.Type

/**
 * Cancels a sampling request.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CancelFutureRequest = Schema.Struct({ request_id: Schema.String })

/**
 * The operations that return a future, by their names in the header `X-Tinker-Request-Type`.
 *
 * @since 0.1.0
 * @category models
 */
export type RequestType =
  | "CreateModel"
  | "CreateSamplingSession"
  | "Forward"
  | "ForwardBackward"
  | "OptimStep"
  | "SaveWeights"
  | "LoadWeights"
  | "SaveWeightsForSampler"
  | "SaveWeightsExternal"
  | "CreateCustomLoss"
  | "UnloadModel"
  | "Sample"
