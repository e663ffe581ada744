/**
 * Everything that can go wrong, as one flat union of tagged errors. Every error has an `ErrorTrait`: whose fault it is
 * (`category`), whether the same request may succeed later (`isRetryable`), and how long the server asks to wait
 * (`retryAfter`). Its `message` says what to do. It has the request id if there is one, and never contains an API key.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as clientErrors from "./internal/errors/clientErrors.ts"
import * as responses from "./internal/errors/fromResponse.ts"
import * as responseErrors from "./internal/errors/responseErrors.ts"
import * as trait from "./internal/errors/trait.ts"

export * from "./internal/errors/clientErrors.ts"
export * from "./internal/errors/responseErrors.ts"
export type { FailedResponse } from "./internal/errors/fromResponse.ts"
export { type ErrorTrait, TypeId } from "./internal/errors/trait.ts"

/**
 * Any error of the library.
 *
 * @since 0.1.0
 * @category errors
 */
export type TinkerError =
  | clientErrors.InvalidInput
  | clientErrors.CredentialCommandFailed
  | clientErrors.TransportError
  | responseErrors.BadRequest
  | responseErrors.Unauthorized
  | responseErrors.PaymentRequired
  | responseErrors.PermissionDenied
  | responseErrors.NotFound
  | responseErrors.ModelLost
  | responseErrors.Conflict
  | responseErrors.FutureExpired
  | responseErrors.RateLimited
  | responseErrors.ServerError
  | clientErrors.DecodeError
  | clientErrors.RequestFailed
  | clientErrors.StepRefused
  | clientErrors.PartialGradient
  | clientErrors.ClientBroken
  | clientErrors.ClientClosed
  | clientErrors.FileError
  | clientErrors.SessionLost
  | clientErrors.NoProgress
  | clientErrors.LossFailed

/**
 * The schema of all of them, such as for an `HttpApi` that lists them as its errors: `.addError(TinkerError.Union)` gives
 * each its status.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Union = Schema.Union(
  clientErrors.InvalidInput,
  clientErrors.CredentialCommandFailed,
  clientErrors.TransportError,
  responseErrors.BadRequest,
  responseErrors.Unauthorized,
  responseErrors.PaymentRequired,
  responseErrors.PermissionDenied,
  responseErrors.NotFound,
  responseErrors.ModelLost,
  responseErrors.Conflict,
  responseErrors.FutureExpired,
  responseErrors.RateLimited,
  responseErrors.ServerError,
  clientErrors.DecodeError,
  clientErrors.RequestFailed,
  clientErrors.StepRefused,
  clientErrors.PartialGradient,
  clientErrors.ClientBroken,
  clientErrors.ClientClosed,
  clientErrors.FileError,
  clientErrors.SessionLost,
  clientErrors.NoProgress,
  clientErrors.LossFailed
)

/**
 * Whether a value is an error of the library.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTinkerError = (u: unknown): u is TinkerError => Predicate.hasProperty(u, trait.TypeId)

/**
 * How long the server asks to wait, in milliseconds: the header `retry-after-ms`, else `retry-after` as seconds, else
 * `retry-after` as a date. A hint that is not above 0, or is above a minute, is ignored.
 *
 * @since 0.1.0
 * @category conversions
 */
export const retryAfterMillis: (
  headers: { readonly [name: string]: string | undefined },
  /** milliseconds since the epoch */
  now: number
) => number | undefined = responses.retryAfterMillis

/**
 * The error of a failed response, by its status.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromResponse: (response: responses.FailedResponse) => TinkerError = responses.fromResponse
