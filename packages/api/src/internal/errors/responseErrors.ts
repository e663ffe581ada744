/** The errors of failed responses, one per status that callers distinguish. */
import * as Schema from "effect/Schema"
import { optionalKey } from "../schemas/optional.ts"
import { httpStatus, id, responseFields, withResponseTrait } from "./trait.ts"

/**
 * The service rejected the request (400, 422, and 4xx statuses without a class of their own).
 *
 * @since 0.1.0
 * @category errors
 */
export class BadRequest extends withResponseTrait(
  Schema.TaggedError<BadRequest>(id("BadRequest"))("BadRequest", responseFields, httpStatus(400)),
  { category: "user", advice: "Correct the request." }
) {}

/**
 * The key is missing, wrong or expired (401).
 *
 * @since 0.1.0
 * @category errors
 */
export class Unauthorized extends withResponseTrait(
  Schema.TaggedError<Unauthorized>(id("Unauthorized"))("Unauthorized", responseFields, httpStatus(401)),
  { category: "user", advice: "Check TINKER_API_KEY, or where else the key comes from." }
) {}

/**
 * The account must pay first (402).
 *
 * @since 0.1.0
 * @category errors
 */
export class PaymentRequired extends withResponseTrait(
  Schema.TaggedError<PaymentRequired>(id("PaymentRequired"))("PaymentRequired", responseFields, httpStatus(402)),
  { category: "user", advice: "Check the account's billing." }
) {}

/**
 * The key lacks permission (403).
 *
 * @since 0.1.0
 * @category errors
 */
export class PermissionDenied extends withResponseTrait(
  Schema.TaggedError<PermissionDenied>(id("PermissionDenied"))("PermissionDenied", responseFields, httpStatus(403)),
  { category: "user", advice: "Use a key that has access." }
) {}

/**
 * The session, model, checkpoint or future does not exist (404).
 *
 * @since 0.1.0
 * @category errors
 */
export class NotFound extends withResponseTrait(
  Schema.TaggedError<NotFound>(id("NotFound"))("NotFound", responseFields, httpStatus(404)),
  { category: "user", advice: "Check the id or path." }
) {}

/**
 * The process of the service ended, and with it what was not saved of the model (404). `lastSaved` is the path of the
 * training state that was last saved or loaded, from which `createTrainingClientFromStateWithOptimizer(error.lastSaved)`
 * goes on; absent if there is none. `stepsLost` is the number of optimizer steps since then.
 *
 * @since 0.1.0
 * @category errors
 */
export class ModelLost extends withResponseTrait(
  Schema.TaggedError<ModelLost>(id("ModelLost"))(
    "ModelLost",
    {
      ...responseFields,
      modelId: Schema.String,
      lastSaved: optionalKey(Schema.String),
      stepsLost: Schema.Number
    },
    httpStatus(404)
  ),
  { category: "server", final: true, advice: "Go on from `lastSaved` with createTrainingClientFromStateWithOptimizer." }
) {}

/**
 * The request contradicts the state of the service (409). A retry does not help: an identical request returns the result
 * of the first one, not this status.
 *
 * @since 0.1.0
 * @category errors
 */
export class Conflict extends withResponseTrait(
  Schema.TaggedError<Conflict>(id("Conflict"))("Conflict", responseFields, httpStatus(409)),
  {
    category: "user",
    advice: "It contradicts what was done before: check the earlier operations."
  }
) {}

/**
 * The service has evicted the result (410).
 *
 * @since 0.1.0
 * @category errors
 */
export class FutureExpired extends withResponseTrait(
  Schema.TaggedError<FutureExpired>(id("FutureExpired"))("FutureExpired", responseFields, httpStatus(410)),
  { category: "server", final: true, advice: "The operation may have been applied, but its result is gone." }
) {}

/**
 * Too many requests (429).
 *
 * @since 0.1.0
 * @category errors
 */
export class RateLimited extends withResponseTrait(
  Schema.TaggedError<RateLimited>(id("RateLimited"))("RateLimited", responseFields, httpStatus(429)),
  { category: "server", retryByDefault: () => true, advice: "Send fewer requests at once, or wait." }
) {}

/**
 * The service failed (408, 5xx). A 501 is final: the service has no such operation.
 *
 * @since 0.1.0
 * @category errors
 */
export class ServerError extends withResponseTrait(
  Schema.TaggedError<ServerError>(id("ServerError"))("ServerError", responseFields, httpStatus(502)),
  {
    category: "server",
    retryByDefault: (status) => status !== 501,
    advice: "Try again; if it persists, report it to the operator of the service."
  }
) {}
