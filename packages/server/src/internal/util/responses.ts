import * as ErrorResponse from "@effect-tinker/api/ErrorResponse"

/** What a request may be refused with. @internal */
export type Refusal =
  | ErrorResponse.BadRequestResponse
  | ErrorResponse.ForbiddenResponse
  | ErrorResponse.NotFoundResponse
  | ErrorResponse.ConflictResponse
  | ErrorResponse.UnprocessableResponse
  | ErrorResponse.TooManyRequestsResponse

/** @internal */
export const badRequest = (detail: string) => new ErrorResponse.BadRequestResponse({ detail })

/** @internal */
export const notFound = (detail: string) => new ErrorResponse.NotFoundResponse({ detail })

/** @internal */
export const forbidden = (detail: string) => new ErrorResponse.ForbiddenResponse({ detail })

/** @internal */
export const conflict = (detail: string) => new ErrorResponse.ConflictResponse({ detail })

/** @internal */
export const gone = (detail: string) => new ErrorResponse.GoneResponse({ detail })

/** @internal */
export type NotFound = ErrorResponse.NotFoundResponse

/** @internal */
export type Gone = ErrorResponse.GoneResponse

/** @internal */
export const tooMany = (detail: string) => new ErrorResponse.TooManyRequestsResponse({ detail })

/** @internal */
export const unprocessable = (detail: string) => new ErrorResponse.UnprocessableResponse({ detail })
