/** The error responses with which the service rejects an operation, and constructors for them. */
import * as ErrorResponse from "@effect-tinker/api/ErrorResponse"

/** Why the service rejects an operation, before it is queued. @internal */
export type OperationRejection =
  | ErrorResponse.BadRequestResponse
  | ErrorResponse.ForbiddenResponse
  | ErrorResponse.NotFoundResponse
  | ErrorResponse.ConflictResponse
  | ErrorResponse.UnprocessableResponse
  | ErrorResponse.TooManyRequestsResponse
  | ErrorResponse.UnavailableResponse
  | ErrorResponse.InsufficientStorageResponse

/** @internal */
export type NotFound = ErrorResponse.NotFoundResponse

/** @internal */
export type Gone = ErrorResponse.GoneResponse

/** 400 @internal */
export const badRequest = (detail: string) => new ErrorResponse.BadRequestResponse({ detail })

/** 403 @internal */
export const forbidden = (detail: string) => new ErrorResponse.ForbiddenResponse({ detail })

/** 404 @internal */
export const notFound = (detail: string) => new ErrorResponse.NotFoundResponse({ detail })

/** 404 for a model that ended with its process @internal */
export const modelLost = (detail: string, model_lost: ErrorResponse.ModelLost) =>
  new ErrorResponse.NotFoundResponse({ detail, model_lost })

/** 409 @internal */
export const conflict = (detail: string) => new ErrorResponse.ConflictResponse({ detail })

/** 410 @internal */
export const gone = (detail: string) => new ErrorResponse.GoneResponse({ detail })

/** 422 @internal */
export const unprocessable = (detail: string) => new ErrorResponse.UnprocessableResponse({ detail })

/** 429 @internal */
export const tooMany = (detail: string) => new ErrorResponse.TooManyRequestsResponse({ detail })

/** 503 @internal */
export const unavailable = (detail: string) => new ErrorResponse.UnavailableResponse({ detail })

/** 507 @internal */
export const insufficientStorage = (detail: string) => new ErrorResponse.InsufficientStorageResponse({ detail })
