/**
 * Error responses of the service: a status, and a body whose `detail` is the reason.
 *
 * @since 0.1.0
 */
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import * as modelLost from "./internal/schemas/modelLost.ts"
import { optionalKey } from "./internal/schemas/optional.ts"

const fields = { detail: Schema.String }
const status = <A>(code: number): Schema.Annotations.Schema<A> =>
  ({ ...HttpApiSchema.annotations({ status: code }) }) as Schema.Annotations.Schema<A>

/**
 * The request is invalid and must not be retried.
 *
 * @since 0.1.0
 * @category errors
 */
export class BadRequestResponse extends Schema.TaggedError<BadRequestResponse>("@effect-tinker/api/BadRequestResponse")(
  "BadRequestResponse",
  fields,
  status(400)
) {}

/**
 * The API key is missing or wrong.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnauthorizedResponse extends Schema.TaggedError<UnauthorizedResponse>(
  "@effect-tinker/api/UnauthorizedResponse"
)("UnauthorizedResponse", fields, status(401)) {}

/**
 * The account must pay first.
 *
 * @since 0.1.0
 * @category errors
 */
export class PaymentRequiredResponse extends Schema.TaggedError<PaymentRequiredResponse>(
  "@effect-tinker/api/PaymentRequiredResponse"
)("PaymentRequiredResponse", fields, status(402)) {}

/**
 * The API key lacks permission.
 *
 * @since 0.1.0
 * @category errors
 */
export class ForbiddenResponse extends Schema.TaggedError<ForbiddenResponse>("@effect-tinker/api/ForbiddenResponse")(
  "ForbiddenResponse",
  fields,
  status(403)
) {}

/**
 * What was lost of a model whose process ended. The hosted service does not send it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ModelLost = modelLost.ModelLost

/**
 * @since 0.1.0
 * @category models
 */
export type ModelLost = typeof ModelLost.Type

/**
 * The session, model, checkpoint, sampler or future does not exist. `model_lost`: it ended with the process of the service.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotFoundResponse extends Schema.TaggedError<NotFoundResponse>("@effect-tinker/api/NotFoundResponse")(
  "NotFoundResponse",
  { ...fields, model_lost: optionalKey(ModelLost) },
  status(404)
) {}

/**
 * The request contradicts the state of the service: a checkpoint of that name exists, or a sequence number was used for
 * another request.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConflictResponse extends Schema.TaggedError<ConflictResponse>("@effect-tinker/api/ConflictResponse")(
  "ConflictResponse",
  fields,
  status(409)
) {}

/**
 * The result of the future was evicted, or the session has ended.
 *
 * @since 0.1.0
 * @category errors
 */
export class GoneResponse extends Schema.TaggedError<GoneResponse>("@effect-tinker/api/GoneResponse")(
  "GoneResponse",
  fields,
  status(410)
) {}

/**
 * The body does not match the schema of the endpoint.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnprocessableResponse extends Schema.TaggedError<UnprocessableResponse>(
  "@effect-tinker/api/UnprocessableResponse"
)("UnprocessableResponse", fields, status(422)) {}

/**
 * Too many requests are queued; try again later.
 *
 * @since 0.1.0
 * @category errors
 */
export class TooManyRequestsResponse extends Schema.TaggedError<TooManyRequestsResponse>(
  "@effect-tinker/api/TooManyRequestsResponse"
)("TooManyRequestsResponse", fields, status(429)) {}

/**
 * The service starts, stops or has no memory for the request at the moment; try again later.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnavailableResponse extends Schema.TaggedError<UnavailableResponse>(
  "@effect-tinker/api/UnavailableResponse"
)("UnavailableResponse", fields, status(503)) {}

/**
 * The checkpoint does not fit into the user's quota; delete others first.
 *
 * @since 0.1.0
 * @category errors
 */
export class InsufficientStorageResponse extends Schema.TaggedError<InsufficientStorageResponse>(
  "@effect-tinker/api/InsufficientStorageResponse"
)("InsufficientStorageResponse", fields, status(507)) {}
