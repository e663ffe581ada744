/** How telemetry describes errors and durations, without secrets. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Predicate from "effect/Predicate"

/** Replaces keys and tokens in a value that JSON can hold. @internal */
export const redactKeys = <A>(value: A): A =>
  JSON.parse(JSON.stringify(value).replace(/\b(?:tml-[\w-]{4,}|eyJ[\w-]{8,}(?:\.[\w-]*){0,2})/g, "<redacted>")) as A

/** A duration as Python prints a timedelta: `0:05:03.123456`. @internal */
export const timedelta = (millis: number): string => {
  const micros = Math.max(0, Math.round(millis * 1000))
  const seconds = Math.floor(micros / 1e6)
  const two = (n: number) => String(n).padStart(2, "0")
  const fraction = micros % 1e6 === 0 ? "" : `.${String(micros % 1e6).padStart(6, "0")}`
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${fraction}`
}

/** @internal */
export const isUserError = (error: TinkerError.TinkerError): boolean => error.category === "user"

const maxNameLength = 100

/**
 * The name of an error's class. A program can write anything there, so anything but an identifier is left out.
 *
 * @internal
 */
export const nameOf = (error: unknown): string => {
  const name =
    Predicate.hasProperty(error, "_tag") && typeof error._tag === "string"
      ? error._tag
      : error instanceof Error
        ? error.name
        : typeof error
  return name.length <= maxNameLength && /^[\w$./@:-]+$/.test(name) ? name : "Error"
}

/** A request id, unless a proxy has put something else there. */
const requestIdOf = ({ requestId }: TinkerError.TinkerError): string | undefined =>
  requestId !== undefined && /^[\w.:-]{1,128}$/.test(requestId) ? requestId : undefined

/** The error, described without the service's text, in which services echo prompts. */
const kindOf = (error: TinkerError.TinkerError): string => (error._tag === "TransportError" ? error.reason : error._tag)

/** @internal */
export const describe = (error: TinkerError.TinkerError): { readonly [key: string]: unknown } => ({
  exception_type: error._tag,
  exception: kindOf(error),
  status_code: "status" in error ? error.status : error._tag === "TransportError" ? 0 : undefined,
  request_id: requestIdOf(error),
  is_retryable: error.isRetryable,
  is_user_error: isUserError(error)
})

/** The message of an unhandled exception. The messages of the program's own errors are not reported. @internal */
export const messageOf = (error: unknown): string => (TinkerError.isTinkerError(error) ? kindOf(error) : "")

const maxDataLength = 10_000

/**
 * Data as JSON, without keys and tokens; the reason instead, if JSON cannot represent it or it is too large.
 *
 * @internal
 */
export const eventData = (data: { readonly [key: string]: unknown }): { readonly [key: string]: unknown } => {
  try {
    if (JSON.stringify(data).length <= maxDataLength) return redactKeys(data)
    return { dropped: `more than ${maxDataLength} characters` }
  } catch {
    return { dropped: "JSON cannot hold it" }
  }
}
