import * as Auth from "@effect-tinker/api/Auth"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const read = Schema.decodeUnknownOption(Schema.parseJson(Auth.Claims))

/** @internal */
export const isToken = (credential: string): boolean => credential.startsWith("eyJ")

/** What a token says of itself; its signature is the service's business. @internal */
export const claims = (credential: string): Auth.Claims | undefined => {
  if (!isToken(credential)) return undefined
  const payload = (credential.split(".")[1] ?? "").replace(/=+$/, "")
  return Option.getRight(Encoding.decodeBase64UrlString(payload)).pipe(Option.flatMap(read), Option.getOrUndefined)
}

/** In milliseconds since the epoch; never, where it does not say. @internal */
export const expiresAt = (credential: string): number => {
  const exp = claims(credential)?.exp
  return exp === undefined ? Number.POSITIVE_INFINITY : exp * 1000
}
