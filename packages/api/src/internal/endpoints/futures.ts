/** Endpoints that poll for results of operations, and cancel them. */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Future from "../../Future.ts"

/**
 * Long-polls for the result of one operation. Responds with the result, or with `Future.TryAgain` after a while.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const retrieveFuture = HttpApiEndpoint.post("retrieveFuture", "/retrieve_future")
  .setPayload(Future.RetrieveFutureRequest)
  .addSuccess(Future.RetrieveFutureResponse)

/**
 * Long-polls a sampling session and returns which of its requests have completed.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const retrieveFutures = HttpApiEndpoint.post("retrieveFutures", "/retrieve_futures")
  .setPayload(Future.RetrieveFuturesRequest)
  .addSuccess(Future.RetrieveFuturesResponse)

/**
 * Cancels a sampling request.
 *
 * @since 0.1.0
 * @category endpoints
 */
export const cancelFuture = HttpApiEndpoint.post("cancelFuture", "/cancel_future")
  .setPayload(Future.CancelFutureRequest)
  .addSuccess(HttpApiSchema.NoContent)

/**
 * The endpoints that poll for results of operations, and cancel them.
 *
 * @since 0.1.0
 * @category groups
 */
export const FuturesGroup = HttpApiGroup.make("futures").add(retrieveFuture).add(retrieveFutures).add(cancelFuture)
