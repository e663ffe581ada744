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

/** @internal */
export const nameOf = (error: unknown): string =>
  Predicate.hasProperty(error, "_tag") && typeof error._tag === "string"
    ? error._tag
    : error instanceof Error
      ? error.name
      : typeof error

/** @internal */
export const describe = (error: TinkerError.TinkerError): { readonly [key: string]: unknown } => ({
  exception_type: error._tag,
  exception: "detail" in error ? error.detail : error._tag === "TransportError" ? error.reason : error._tag,
  status_code: "status" in error ? error.status : error._tag === "TransportError" ? 0 : undefined,
  request_id: error.requestId,
  is_retryable: error.isRetryable,
  is_user_error: isUserError(error)
})

/** The message of an unhandled exception. What a program's own errors say stays with it. @internal */
export const messageOf = (error: unknown): string =>
  TinkerError.isTinkerError(error) ? String(redactKeys(describe(error)["exception"])) : ""
