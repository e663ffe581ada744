/**
 * Futures: an operation answers at once with a request id, and its result is fetched by that id.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, withDefault } from "./internal/schemas/optional.ts"
import { openEnum, typeField } from "./internal/schemas/wire.ts"

/**
 * The answer to an operation that takes time. For `asample`, `sample_sequence_ids` names each sequence of the result in
 * its order; the result does not repeat them.
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
 * @since 0.1.0
 * @category schemas
 */
export const RetrieveFutureRequest = Schema.Struct({
  request_id: Schema.String,
  allow_metadata_only: withDefault(Schema.Boolean, () => false)
})

/**
 * The result is not ready; ask again.
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
 * The result is ready but large; ask again with `allow_metadata_only` false.
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
 * @since 0.1.0
 * @category schemas
 */
export const RetrieveFutureResponse = Schema.Unknown.annotations({
  identifier: "RetrieveFutureResponse",
  description: "TryAgain, CompleteMetadata, RequestFailed, or the result that the request's kind stands for"
})

/**
 * Asks which requests of a sampling session are done. `cloned_sampler_id` is `seq_id` divided by 10^9 without rest: 0
 * for the first client of the session. `prev_cursor` is the cursor of the answer before, 0 at first; `timeout` 0 answers
 * at once. Results of `retrieved_request_ids` have arrived, so the service may drop them.
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
 * A request that is done. The size, of a finished one, is that of the payload without compression, in bytes.
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
 * Stops the work on a sampling request whose result nobody waits for any more.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CancelFutureRequest = Schema.Struct({ request_id: Schema.String })

/**
 * The kinds of operations that answer with a future, named as the header `X-Tinker-Request-Type` names them.
 *
 * @since 0.1.0
 * @category models
 */
export type RequestType =
  | "CreateModel"
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
