import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as HttpApiError from "@effect/platform/HttpApiError"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Predicate from "effect/Predicate"

const statuses: { readonly [tag: string]: number } = {
  BadRequestResponse: 400,
  UnauthorizedResponse: 401,
  PaymentRequiredResponse: 402,
  ForbiddenResponse: 403,
  NotFoundResponse: 404,
  ConflictResponse: 409,
  GoneResponse: 410,
  UnprocessableResponse: 422,
  TooManyRequestsResponse: 429
}

const maxIssues = 5
const maxLength = 300

const cut = (text: string): string => (text.length > maxLength ? `${text.slice(0, maxLength)}…` : text)

const pathOf = (path: ReadonlyArray<PropertyKey>): string =>
  path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`),
    ""
  )

/** What is wrong with a body, and where. */
const describeIssues = (error: HttpApiError.HttpApiDecodeError): string => {
  const lines = error.issues
    .slice(0, maxIssues)
    .map(({ message, path }) => (path.length === 0 ? cut(message) : `${pathOf(path)}: ${cut(message)}`))
  const more = error.issues.length - lines.length
  return more > 0 ? `${lines.join("; ")}; and ${more} more` : lines.join("; ")
}

const messageOf = (u: unknown): string => (u instanceof Error ? u.message : String(u))

/** An error answer: what status, and what it says. @internal */
export interface Answer {
  readonly status: number
  readonly detail: string
  readonly tag?: string | undefined
}

/** @internal */
export const toResponse = ({ detail, status, tag }: Answer): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(tag === undefined ? { detail } : { _tag: tag, detail }, { status })

/** The answer that an error of our own contract stands for. @internal */
export const fromRefusal = (error: { readonly _tag: string; readonly detail: string }): Answer => ({
  status: statuses[error._tag] ?? 500,
  detail: error.detail,
  tag: error._tag
})

const unprocessable = (detail: string): Answer => ({ status: 422, detail, tag: "UnprocessableResponse" })

const isRefusal = (u: unknown): u is { readonly _tag: string; readonly detail: string } =>
  Predicate.hasProperty(u, "_tag") &&
  typeof u._tag === "string" &&
  Object.hasOwn(statuses, u._tag) &&
  Predicate.hasProperty(u, "detail") &&
  typeof u.detail === "string"

/**
 * The answer to whatever ended a request; `undefined` when it was nobody's fault but the service's. A body that is not
 * JSON, or not of the form that the endpoint takes, is a 422.
 *
 * @internal
 */
export const fromCause = (cause: Cause.Cause<unknown>): Answer | undefined => {
  const error = Cause.squash(cause)
  if (isRefusal(error)) return fromRefusal(error)
  if (error instanceof HttpApiError.HttpApiDecodeError) return unprocessable(describeIssues(error))
  if (error instanceof ProtobufCodec.ProtobufDecodeError) return unprocessable(error.message)
  // a value that is refused is shown, by recursion
  if (error instanceof RangeError && error.message.includes("call stack")) {
    return unprocessable("the body is nested too deeply")
  }
  if (HttpServerError.isServerError(error)) {
    if (error._tag === "RouteNotFound") {
      const { method, url } = error.request
      return { status: 404, detail: `there is no ${method} ${cut(url.split("?")[0]!)}`, tag: "NotFoundResponse" }
    }
    if (error._tag === "RequestError") {
      return unprocessable(`the body cannot be read: ${cut(messageOf(error.cause ?? error))}`)
    }
  }
  return undefined
}
