/**
 * Error answers of the service: a status, and a body whose `detail` says what was wrong.
 *
 * @since 0.1.0
 */
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"

const fields = { detail: Schema.String }
const status = <A>(code: number): Schema.Annotations.Schema<A> =>
  ({ ...HttpApiSchema.annotations({ status: code }) }) as Schema.Annotations.Schema<A>

/**
 * The request can never succeed as it is.
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
 * The key is missing or wrong.
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
 * The key may not do this.
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
 * No such session, model, checkpoint, sampler or future.
 *
 * @since 0.1.0
 * @category errors
 */
export class NotFoundResponse extends Schema.TaggedError<NotFoundResponse>("@effect-tinker/api/NotFoundResponse")(
  "NotFoundResponse",
  fields,
  status(404)
) {}

/**
 * The request contradicts what the service holds: a checkpoint of that name exists, or a sequence number was used for
 * something else.
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
 * It was there, and is no more: the result of a future, or a session that has ended.
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
 * The body does not have the form that the endpoint takes.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnprocessableResponse extends Schema.TaggedError<UnprocessableResponse>(
  "@effect-tinker/api/UnprocessableResponse"
)("UnprocessableResponse", fields, status(422)) {}

/**
 * Too much work is waiting; try again later.
 *
 * @since 0.1.0
 * @category errors
 */
export class TooManyRequestsResponse extends Schema.TaggedError<TooManyRequestsResponse>(
  "@effect-tinker/api/TooManyRequestsResponse"
)("TooManyRequestsResponse", fields, status(429)) {}

/**
 * @since 0.1.0
 * @category errors
 */
export type ErrorResponse =
  | BadRequestResponse
  | UnauthorizedResponse
  | PaymentRequiredResponse
  | ForbiddenResponse
  | NotFoundResponse
  | ConflictResponse
  | GoneResponse
  | UnprocessableResponse
  | TooManyRequestsResponse
