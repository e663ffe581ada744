/** What a response means: a success, a redirect, or a TinkerError. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { RawResponse } from "./callOptions.ts"
import { fieldsOf, type Failure } from "../network/failure.ts"
import type { Subject } from "./request.ts"
import type { Transport } from "./transport.ts"

const maxEdgeRejections = 16
const maxDeprecations = 100

const text = new TextDecoder()

/** The error of a request that got no response. @internal */
export const transportError = (url: string, subject: Subject, failure: Failure): TinkerError.TransportError =>
  new TinkerError.TransportError({ ...subject, url, ...fieldsOf(failure) })

const logDeprecation = (transport: Transport, method: string, response: RawResponse) => {
  const { deprecations } = transport
  const note = response.headers["x-deprecation-note"]
  if (note === undefined || deprecations.has(note) || deprecations.size >= maxDeprecations) return Effect.void
  deprecations.add(note)
  const line = `${method}: ${note}`
  return response.headers["x-deprecation-level"] === "error" ? Effect.logError(line) : Effect.logWarning(line)
}

/** @internal */
export const noteSuccess = (transport: Transport): void => {
  if (transport.edgeRejections > 0) transport.edgeRejections--
}

const toError = Effect.fnUntraced(function* (
  transport: Transport,
  response: RawResponse,
  subject: Subject,
  key: Redacted.Redacted | undefined
) {
  if (response.status === 400 && response.body.length === 0 && transport.edgeRejections < maxEdgeRejections) {
    // an edge proxy rejected it, and not the service
    transport.edgeRejections++
    return yield* transportError(response.url, subject, { reason: "Connection" })
  }
  const body = text.decode(response.body)
  return yield* TinkerError.fromResponse({
    ...subject,
    status: response.status,
    headers: response.headers,
    body: key === undefined ? body : body.replaceAll(Redacted.value(key), "<redacted>"),
    now: yield* Clock.currentTimeMillis
  })
})

/**
 * Succeeds with a success or a redirect, and fails with an error for any other status. No error shows `key`.
 *
 * @internal
 */
export const classify = (
  transport: Transport,
  response: RawResponse,
  subject: Subject,
  key: Redacted.Redacted | undefined
): Effect.Effect<RawResponse, TinkerError.TinkerError> => {
  const isSuccess = response.status >= 200 && response.status < 400
  if (isSuccess) noteSuccess(transport)
  const outcome = isSuccess ? Effect.succeed(response) : toError(transport, response, subject, key)
  return "x-deprecation-note" in response.headers
    ? Effect.flatMap(logDeprecation(transport, subject.method, response), () => outcome)
    : outcome
}
