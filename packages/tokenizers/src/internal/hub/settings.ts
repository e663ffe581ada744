/** Checks of names, endpoint and token, before anything is read or sent. No error contains the token. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { type HubError, makeError, type Remote, type Target } from "./model.ts"
import * as names from "./names.ts"

const defaultEndpoint = "https://huggingface.co"

const parseUrl = (given: string): URL | undefined => {
  try {
    return new URL(given)
  } catch {
    return undefined
  }
}

/** The endpoint with its host in lower case and without a slash at its end, or else what is wrong with it. @internal */
export const normalizeEndpoint = (given: string): Either.Either<string, string> => {
  const text = given.trim()
  // it may contain a password
  if (/^[^/?#]*(?:\/\/)?[^/?#]*@/.test(text)) {
    return Either.left("HF_ENDPOINT must not contain a user name or a password: set HF_TOKEN instead")
  }
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    return Either.left(
      `HF_ENDPOINT is ${JSON.stringify(text)}, which has no scheme: write https://${text.replace(/^\/+/, "")}`
    )
  }
  const url = parseUrl(text)
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    return Either.left(`HF_ENDPOINT is ${JSON.stringify(text)}, which is not a URL of the form https://host`)
  }
  if (url.search !== "" || url.hash !== "") {
    return Either.left(`HF_ENDPOINT must end before the query: write ${url.origin}`)
  }
  return Either.right(`${url.origin}${url.pathname.replace(/\/+$/, "")}`)
}

/** Whether this URL is below the endpoint, so that a request may carry the token. @internal */
export const isBelowEndpoint = (endpoint: string, { href }: URL): boolean => `${href}/`.startsWith(`${endpoint}/`)

/** Fails unless the repository and the revision have valid names. @internal */
export const checkNames = (target: Target): Effect.Effect<void, HubError> => {
  const problem = names.repoProblem(target.repo) ?? names.revisionProblem(target.revision)
  return problem === undefined ? Effect.void : makeError(target, "Invalid", problem)
}

const tokenProblem = (token: string): string | undefined => {
  if (/[\r\n]/.test(token)) return "a line break"
  if (/[^\p{ASCII}]/u.test(token)) return "characters outside of ASCII"
  return /^[\u0021-\u007e]*$/.test(token) ? undefined : "spaces or control characters"
}

/** The target with its endpoint and token, if these can be used. @internal */
export const checkRemote = (target: Target): Effect.Effect<Remote, HubError> => {
  const { options } = target
  const endpoint = normalizeEndpoint(options.endpoint ?? defaultEndpoint)
  if (Either.isLeft(endpoint)) return makeError(target, "Invalid", endpoint.left)
  const token = options.token === undefined ? "" : Redacted.value(options.token).trim()
  const problem = tokenProblem(token)
  if (problem !== undefined) {
    const detail = `the access token contains ${problem}: check HF_TOKEN, or run 'hf auth login' again`
    return makeError(target, "Invalid", detail)
  }
  return Effect.succeed({
    ...target,
    endpoint: endpoint.right,
    token: token === "" ? undefined : Redacted.make(token)
  })
}
