/// <reference types="node" />
/** Follows redirects. Another origin gets neither credentials nor the headers of a `transformRequest`. */
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as Effect from "effect/Effect"
import type * as Undici from "undici"
import { requestError } from "../../effect/httpErrors.ts"
import { readBounded } from "../../util/boundedBody.ts"
import { dispatch } from "./dispatch.ts"
import { type HeaderRecord, type Hop, isHttp } from "./hop.ts"
import type { UndiciResponse } from "./response.ts"

const maxRedirects = 10

const secretNames = [
  "authorization",
  "cf-access-client-id",
  "cf-access-client-secret",
  "cookie",
  "proxy-authorization",
  "x-api-key",
  "x-tinker-weights-access-token"
]

const isRedirect = ({ headers, status }: UndiciResponse) =>
  status >= 300 && status < 400 && status !== 304 && headers["location"] !== undefined

/** Where a redirect leads, or why it cannot be followed. */
const nextUrl = (location: string, from: URL, hops: number): URL | string => {
  if (hops >= maxRedirects) return `redirected more than ${maxRedirects} times`
  if (!URL.canParse(location, from.href)) return "redirected to an invalid URL"
  const next = new URL(location, from.href)
  return isHttp(next) ? next : `redirected to ${next.protocol}`
}

/** Without the headers that hold credentials. */
const withoutSecrets = (headers: HeaderRecord): HeaderRecord => {
  const kept = { ...headers }
  for (const name of secretNames) delete kept[name]
  return kept
}

/** @internal */
export interface Redirects {
  readonly dispatcher: Undici.Dispatcher
  readonly timeoutMillis: number
  /** the headers before `transformRequest`; another origin gets only these */
  readonly plainHeaders: HeaderRecord
}

/** The largest body of a redirect that is read, so that its connection can be used again. */
const maxRedirectBytes = 64 * 1024

/** The response that redirects lead to. @internal */
export const follow = (
  redirects: Redirects,
  response: UndiciResponse,
  from: Hop,
  hops: number
): Effect.Effect<UndiciResponse, HttpClientError.RequestError> => {
  if (!isRedirect(response)) return Effect.succeed(response)
  const url = nextUrl(response.headers["location"]!, from.url, hops)
  if (typeof url === "string") return requestError(from.request, "Transport", { description: url })
  const headers = url.origin === from.url.origin ? from.headers : withoutSecrets(redirects.plainHeaders)
  const next = { ...from, url, headers }
  return Effect.ignore(readBounded(response, maxRedirectBytes)).pipe(
    Effect.andThen(dispatch(redirects.dispatcher, next, redirects.timeoutMillis)),
    Effect.flatMap((response) => follow(redirects, response, next, hops + 1))
  )
}
