/** Error responses: their status, their JSON body `{ detail }`, and which one a failed request gets. */
import * as ErrorResponse from "@effect-tinker/api/ErrorResponse"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as HttpApiError from "@effect/platform/HttpApiError"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Predicate from "effect/Predicate"
import { FieldError } from "./body/fields.ts"

/** Statuses of the contract's error responses, by tag. @internal */
export const statuses: { readonly [tag: string]: number } = {
  BadRequestResponse: 400,
  UnauthorizedResponse: 401,
  PaymentRequiredResponse: 402,
  ForbiddenResponse: 403,
  NotFoundResponse: 404,
  ConflictResponse: 409,
  GoneResponse: 410,
  UnprocessableResponse: 422,
  TooManyRequestsResponse: 429,
  UnavailableResponse: 503,
  InsufficientStorageResponse: 507
}

/** @internal */
export interface ApiError {
  readonly status: number
  readonly detail: string
  /** tag of the contract's error response, if there is one for the status */
  readonly tag?: string | undefined
  /** what was lost of a model */
  readonly modelLost?: ErrorResponse.ModelLost | undefined
}

/** @internal */
export const toResponse = ({ detail, modelLost, status, tag }: ApiError): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(
    {
      ...(tag === undefined ? {} : { _tag: tag }),
      detail,
      ...(modelLost === undefined ? {} : { model_lost: modelLost })
    },
    { status }
  )

/** Converts an error response of the contract. @internal */
export const fromErrorResponse = (error: { readonly _tag: string; readonly detail: string }): ApiError => ({
  status: statuses[error._tag] ?? 500,
  detail: error.detail,
  tag: error._tag,
  modelLost: error instanceof ErrorResponse.NotFoundResponse ? error.model_lost : undefined
})

const isErrorResponse = (u: unknown): u is { readonly _tag: string; readonly detail: string } =>
  Predicate.hasProperty(u, "_tag") &&
  typeof u._tag === "string" &&
  Object.hasOwn(statuses, u._tag) &&
  Predicate.hasProperty(u, "detail") &&
  typeof u.detail === "string"

const unprocessable = (detail: string): ApiError => ({ status: 422, detail, tag: "UnprocessableResponse" })

// a hostile body may have any number of issues, of any length
const maxIssues = 5
const maxLength = 300

const truncate = (text: string): string => (text.length > maxLength ? `${text.slice(0, maxLength)}…` : text)

/** Formats a path as `data[0].loss_fn_inputs`. */
const formatPath = (path: ReadonlyArray<PropertyKey>): string =>
  path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`),
    ""
  )

const formatIssues = (error: HttpApiError.HttpApiDecodeError): string => {
  const lines = error.issues
    .slice(0, maxIssues)
    .map(({ message, path }) => (path.length === 0 ? truncate(message) : `${formatPath(path)}: ${truncate(message)}`))
  const more = error.issues.length - lines.length
  return more > 0 ? `${lines.join("; ")}; and ${more} more` : lines.join("; ")
}

const messageOf = (u: unknown): string => (u instanceof Error ? u.message : String(u))

const checkpointRoute = /\/training_runs\/[^/]+\/checkpoints\/([^/]+)(?:\/[a-z_]+)?$/

/** Why a request has no route. Ids of checkpoints without their kind are a common mistake. */
const missingRoute = (method: string, path: string): string => {
  const id = checkpointRoute.exec(path)?.[1]
  const missing = `there is no ${method} ${truncate(path)}`
  return id === undefined
    ? missing
    : `${missing}: the id of a checkpoint is <kind>/<name>, such as weights/${truncate(id)} or ` +
        `sampler_weights/${truncate(id)}`
}

const fromServerError = (error: HttpServerError.HttpServerError): ApiError | undefined => {
  switch (error._tag) {
    case "RouteNotFound": {
      const { method, url } = error.request
      return { status: 404, detail: missingRoute(method, url.split("?")[0]!), tag: "NotFoundResponse" }
    }
    case "RequestError":
      if (error.cause instanceof FieldError) return unprocessable(error.cause.message)
      return unprocessable(`the body cannot be read: ${truncate(messageOf(error.cause ?? error))}`)
    default:
      return undefined
  }
}

/**
 * The error response to a failed request: 422 for a body that cannot be decoded. `undefined` if the service itself failed.
 *
 * @internal
 */
export const fromCause = (cause: Cause.Cause<unknown>): ApiError | undefined => {
  const error = Cause.squash(cause)
  if (isErrorResponse(error)) return fromErrorResponse(error)
  if (error instanceof HttpApiError.HttpApiDecodeError) return unprocessable(formatIssues(error))
  if (error instanceof ProtobufCodec.ProtobufDecodeError || error instanceof FieldError)
    return unprocessable(error.message)
  // the message of a schema error shows the invalid value, by recursion
  if (error instanceof RangeError && error.message.includes("call stack")) {
    return unprocessable("the body is nested too deeply")
  }
  return HttpServerError.isServerError(error) ? fromServerError(error) : undefined
}
