/**
 * Futures: an operation answers at once with a request id, and its result is fetched by that id.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, open } from "./internal/schemas.ts"

/**
 * @since 0.1.0
 * @category schemas
 */
export const FutureEnvelope = Schema.Struct({ request_id: Schema.String, model_id: nullish(Schema.String) })

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
  allow_metadata_only: Schema.optionalWith(Schema.Boolean, { default: () => false })
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
  queue_state: nullish(open("active", "paused_capacity", "paused_rate_limit")),
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
  category: nullish(open("user", "server", "unknown"))
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
  | "Sample"
