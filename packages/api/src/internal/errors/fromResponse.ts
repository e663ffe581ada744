/** Maps failed responses to errors. */
import { adviceOn } from "./advice.ts"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ModelLost } from "../schemas/modelLost.ts"
import * as responseErrors from "./responseErrors.ts"

/**
 * A response whose status is not a success. Header names are in lower case.
 *
 * @since 0.1.0
 * @category models
 */
export interface FailedResponse {
  readonly method: string
  readonly status: number
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: string
  readonly requestId?: string | undefined
  /** milliseconds since the epoch, to read a `Retry-After` date against */
  readonly now: number
  /** what to do, if it does not follow from the status and the body */
  readonly advice?: string | undefined
}

const maxDetailLength = 2000

const isPage = (body: string): boolean => /^\s*<(?:!doctype|html|head|body)\b/i.test(body)

/** A web page by its title, which is all of it that a person can read in one line. */
const pageTitle = (body: string): string => {
  const [, title = ""] = /<title[^>]*>([^<]{1,200})/i.exec(body) ?? []
  return title.trim() === "" ? "a web page" : `a web page (${title.trim().replace(/\s+/g, " ")})`
}

const detailOf = (body: string): string => {
  if (isPage(body)) return pageTitle(body)
  try {
    const json: unknown = JSON.parse(body)
    if (typeof json === "object" && json !== null) {
      for (const key of ["detail", "message", "error"] as const) {
        const value = (json as Record<string, unknown>)[key]
        if (typeof value === "string") return value
        if (value !== undefined && value !== null) return JSON.stringify(value).slice(0, maxDetailLength)
      }
    }
  } catch {
    // Proxies respond with HTML pages.
  }
  return body.trim().slice(0, maxDetailLength)
}

// A longer hint would block a client for longer than its own backoff does.
const maxRetryAfterMillis = 60_000

/** @internal */
export const retryAfterMillis = (
  headers: { readonly [name: string]: string | undefined },
  now: number
): number | undefined => {
  const precise = Number.parseFloat(headers["retry-after-ms"] ?? "")
  const text = headers["retry-after"] ?? ""
  const seconds = text.trim() === "" ? Number.NaN : Number(text)
  const hint = !Number.isNaN(precise) ? precise : !Number.isNaN(seconds) ? seconds * 1000 : Date.parse(text) - now
  return hint > 0 && hint <= maxRetryAfterMillis ? hint : undefined
}

const classOf = (status: number) => {
  switch (status) {
    case 401:
      return responseErrors.Unauthorized
    case 402:
      return responseErrors.PaymentRequired
    case 403:
      return responseErrors.PermissionDenied
    case 404:
      return responseErrors.NotFound
    case 408:
      return responseErrors.ServerError
    case 409:
      return responseErrors.Conflict
    case 410:
      return responseErrors.FutureExpired
    case 429:
      return responseErrors.RateLimited
    default:
      return status >= 500 ? responseErrors.ServerError : responseErrors.BadRequest
  }
}

const decodeModelLost = Schema.decodeUnknownOption(Schema.parseJson(Schema.Struct({ model_lost: ModelLost })))

/** What a response tells of a model that was lost, as the fields of its error. */
const modelLostOf = ({ body, status }: FailedResponse) => {
  const lost = status === 404 ? Option.getOrUndefined(decodeModelLost(body))?.model_lost : undefined
  if (lost === undefined) return undefined
  const { last_saved, model_id, steps_lost } = lost
  return { modelId: model_id, ...(last_saved === null ? {} : { lastSaved: last_saved }), stepsLost: steps_lost }
}

/** @internal */
export const fromResponse = (response: FailedResponse) => {
  const hint = retryAfterMillis(response.headers, response.now)
  const shouldRetry = response.headers["x-should-retry"]
  const requestId = response.requestId ?? response.headers["x-request-id"]
  const { method, status } = response
  const detail = detailOf(response.body)
  const advice = response.advice ?? adviceOn({ method, status, detail, isPage: isPage(response.body) })
  const fields = {
    method,
    status,
    detail,
    ...(advice === undefined ? {} : { advice }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(hint === undefined ? {} : { retryAfterMillis: hint }),
    ...(shouldRetry === "true" || shouldRetry === "false" ? { shouldRetry: shouldRetry === "true" } : {})
  }
  const lost = modelLostOf(response)
  return lost === undefined ? new (classOf(status))(fields) : new responseErrors.ModelLost({ ...fields, ...lost })
}
