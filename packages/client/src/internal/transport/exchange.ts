import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as Effect from "effect/Effect"
import type * as RetryPolicy from "../../RetryPolicy.ts"
import type * as TinkerClient from "../../TinkerClient.ts"

/** @internal */
export const direct: unique symbol = Symbol.for("~@effect-tinker/client/direct")

/** @internal */
export interface Outgoing {
  readonly method: string
  readonly origin: string
  /** with the query */
  readonly path: string
  /** names, in lower case, and values in turns: half of what an object takes */
  readonly headers: ReadonlyArray<string>
  readonly body: Uint8Array | string | undefined
}

/** The request for a client that has no short way. @internal */
export const toPlatform = ({ body, headers: flat, method, origin, path }: Outgoing) => {
  const headers: Record<string, string> = {}
  for (let i = 0; i < flat.length; i += 2) headers[flat[i]!] = flat[i + 1]!
  const request = HttpClientRequest.make(method as "POST")(`${origin}${path}`, { headers })
  if (body === undefined) return request
  const contentType = headers["content-type"]!
  return typeof body === "string"
    ? HttpClientRequest.bodyText(request, body, contentType)
    : HttpClientRequest.bodyUint8Array(request, body, contentType)
}

/** @internal */
export interface Incoming {
  readonly status: number
  /** names are in lower case */
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: Uint8Array
}

/** Is told what came of a request, once. @internal */
export interface Then {
  readonly onAnswer: (answer: Incoming) => void
  /** there is no answer, or not all of it */
  readonly onNone: (cause: unknown) => void
}

/** What is held while something is under way, and must be left at the end of it, whatever that is. @internal */
export interface Held {
  /** more than once does no more than once */
  readonly leave: () => void
}

/**
 * The short way through an `HttpClient`, for answers that are wanted whole. It follows no redirect.
 *
 * @internal
 */
export interface Short {
  /** what each request says beside its own headers */
  readonly headers: ReadonlyArray<string>
  /**
   * Whoever leaves the request ends it, and is told nothing. It keeps the time by itself (milliseconds until the answer's
   * head, and between any two parts of its body), so that no fiber need watch each request.
   */
  readonly ask: (request: Outgoing, millis: number, then: Then) => Held
}

/** @internal */
export interface Direct {
  readonly [direct]: Short
}

/** @internal */
export const quick: unique symbol = Symbol.for("~@effect-tinker/client/quick")

/** Is told what came of a call, once. @internal */
export interface QuickThen {
  readonly onValue: (value: unknown) => void
  /** what is left to do is not done at once: it is an effect */
  readonly onElse: (rest: Effect.Effect<unknown, TinkerError.TinkerError>) => void
}

/**
 * A client's `call` without an effect, as long as all is well. Whoever leaves ends the request, and is told nothing.
 * `undefined`: there is no short way for this request, which has not been sent.
 *
 * @internal
 */
export type Quick = (
  endpoint: HttpApiEndpoint.HttpApiEndpoint.Any,
  payload: unknown,
  options: TinkerClient.CallOptions & { readonly policy: RetryPolicy.RetryPolicy },
  then: QuickThen
) => Held | undefined
