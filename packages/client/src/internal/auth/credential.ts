/** What a credential must look like before it is put in a header. No error shows its text. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as jwt from "./jwt.ts"

type Checked = Effect.Effect<Redacted.Redacted, TinkerError.InvalidInput>

/** `path` names the source of the credential. @internal */
export const invalid = (path: string, reason: string): TinkerError.InvalidInput =>
  new TinkerError.InvalidInput({ method: "Credentials", path, reason })

const lineCount = (text: string): string => {
  const count = text.split(/\r\n|\r|\n/).length
  return count === 2 ? "two" : String(count)
}

/** Why a header cannot hold a credential; `undefined` if it can. @internal */
export const headerProblem = (text: string): string | undefined => {
  if (text === "") return "is empty"
  if (/[\r\n]/.test(text)) return `has ${lineCount(text)} lines`
  return /^[\x21-\x7e]+$/.test(text) ? undefined : "has a character that a header cannot hold"
}

/** Whether a credential has one of the forms that the service knows. @internal */
export const isKeyOrToken = (text: string): boolean => text.startsWith("tml-") || jwt.isToken(text)

/** Fails if a header cannot hold the credential. @internal */
export const checkHeader = (path: string, credential: Redacted.Redacted): Checked => {
  const problem = headerProblem(Redacted.value(credential))
  return problem === undefined ? Effect.succeed(credential) : Effect.fail(invalid(path, problem))
}

/** The trimmed credential, if it is a key or a token. @internal */
export const check = (path: string, credential: Redacted.Redacted): Checked => {
  const text = Redacted.value(credential).trim()
  const problem = headerProblem(text)
  if (problem !== undefined) return Effect.fail(invalid(path, `${problem}: set TINKER_API_KEY to one key`))
  return isKeyOrToken(text)
    ? Effect.succeed(Redacted.make(text))
    : Effect.fail(invalid(path, 'is not a key of this service: keys start with "tml-", tokens with "eyJ"'))
}

/** The credential, for as long as it has not expired. @internal */
export const unexpired = (path: string, credential: Redacted.Redacted): Checked => {
  const expiry = jwt.expiresAt(Redacted.value(credential))
  return Effect.flatMap(Clock.currentTimeMillis, (now) =>
    now < expiry
      ? Effect.succeed(credential)
      : Effect.fail(
          invalid(
            path,
            "is an expired token by this machine's clock: give a new one, or a TINKER_CREDENTIAL_CMD that prints one"
          )
        )
  )
}
