/** Creates URLs that grant access to one file for an hour, and verifies their signatures. */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as signing from "../auth/signing.ts"
import * as responses from "../util/responses.ts"
import type { Sign } from "../util/sha256.ts"

type Request = HttpServerRequest.HttpServerRequest

/** When a URL that is created now expires, in milliseconds since the epoch. @internal */
export const nextExpiry: Effect.Effect<number> = Effect.map(Clock.currentTimeMillis, (now) => now + 60 * 60 * 1000)

/** A signed URL of `<prefix>/<file>`, on the origin of the request. @internal */
export const create = (
  sign: Sign,
  request: Request,
  prefix: string,
  file: string,
  expires: number
): Effect.Effect<string> =>
  Effect.map(sign(`${expires}/${file}`), (signature) => {
    const url = `${prefix}/${file}?expires=${expires}&signature=${signature}`
    return Option.match(HttpServerRequest.toURL(request), {
      onNone: () => url,
      onSome: (origin) => new URL(url, origin).href
    })
  })

/** Rejects a URL that this service did not sign for that file. @internal */
export const verify = Effect.fnUntraced(function* (
  sign: Sign,
  file: string,
  query: URLSearchParams
): Effect.fn.Return<void, responses.OperationRejection> {
  const expected = yield* sign(`${query.get("expires") ?? ""}/${file}`)
  if (!signing.matches(expected, query.get("signature") ?? "")) {
    yield* responses.forbidden("the signature of this URL is missing or wrong")
  }
})

/** Whether a URL has expired. @internal */
export const isExpired = (query: URLSearchParams): Effect.Effect<boolean> =>
  Effect.map(Clock.currentTimeMillis, (now) => !(Number(query.get("expires") ?? "") > now))

/** The query of a request. @internal */
export const queryOf = ({ url }: Request): URLSearchParams => new URLSearchParams(url.split("?")[1] ?? "")
