/** Issues and verifies the JSON web tokens that clients may send in place of their API key. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import type { DurationInput } from "../util/duration.ts"
import type { Sign } from "../util/sha256.ts"
import * as signing from "./signing.ts"

const header = Encoding.encodeBase64Url(JSON.stringify({ alg: "HS256", typ: "JWT" }))

interface Claims {
  /** id of the user */
  readonly sub: string
  /** seconds since the epoch */
  readonly exp: number
}

const currentSeconds = Effect.map(Clock.currentTimeMillis, (now) => Math.floor(now / 1000))

/** Whether a credential looks like a token: base64url of `{"`. @internal */
export const isToken = (credential: string | undefined): boolean => credential?.startsWith("eyJ") === true

/** A token for a user. @internal */
export const issue = Effect.fnUntraced(function* (sign: Sign, user: string, lifetime: DurationInput) {
  const iat = yield* currentSeconds
  const claims = { iss: "effect-tinker", sub: user, iat, exp: iat + Math.ceil(Duration.toSeconds(lifetime)) }
  const signed = `${header}.${Encoding.encodeBase64Url(JSON.stringify(claims))}`
  return `${signed}.${yield* sign(signed)}`
})

const parseClaims = (payload: string) =>
  Either.flatMap(Encoding.decodeBase64UrlString(payload), (text) => Either.try(() => JSON.parse(text) as Claims))

/** The user of a token; `undefined` if it is forged or has expired. @internal */
export const verify = Effect.fnUntraced(function* (sign: Sign, token: string): Effect.fn.Return<string | undefined> {
  const [head, payload, signature = "", ...rest] = token.split(".")
  if (head !== header || payload === undefined || rest.length > 0) return undefined
  if (!signing.matches(yield* sign(`${head}.${payload}`), signature)) return undefined
  const claims = parseClaims(payload)
  if (Either.isLeft(claims) || claims.right.exp <= (yield* currentSeconds)) return undefined
  return claims.right.sub
})
