/** Reads the claims of JSON Web Tokens. Only the service verifies their signatures. */
import * as Auth from "@effect-tinker/api/Auth"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const readClaims = Schema.decodeUnknownOption(Schema.parseJson(Auth.Claims))

/** @internal */
export const isToken = (credential: string): boolean => credential.startsWith("eyJ")

/** The claims of a token; `undefined` for a key, and for a token that cannot be read. @internal */
export const claims = (credential: string): Auth.Claims | undefined => {
  if (!isToken(credential)) return undefined
  const payload = credential.split(".")[1] ?? ""
  return Option.getRight(Encoding.decodeBase64UrlString(payload)).pipe(
    Option.flatMap(readClaims),
    Option.getOrUndefined
  )
}

/** When a credential expires, in milliseconds since the epoch; infinity where it does not. @internal */
export const expiresAt = (credential: string): number => {
  const exp = claims(credential)?.exp
  return exp === undefined ? Number.POSITIVE_INFINITY : exp * 1000
}
