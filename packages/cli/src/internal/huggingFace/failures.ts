/** The errors of a Hugging Face hub, with advice. */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import type * as hub from "@huggingface/hub"
import * as Data from "effect/Data"
import { CliError } from "../errors/cliError.ts"
import { clean } from "../text/clean.ts"

/** The response is not from a hub. @internal */
export class UnexpectedResponse extends Data.TaggedError("UnexpectedResponse")<{ readonly reason: string }> {
  override get message(): string {
    return this.reason
  }
}

/** The hub asked for a longer pause than the command makes. @internal */
export class PauseTooLong extends Data.TaggedError("PauseTooLong")<{ readonly seconds: number }> {}

/** What the messages need to know about the hub. @internal */
export interface Hub {
  readonly library: typeof hub
  readonly endpoint: string
  readonly token: string
}

/** @internal */
export const loginHint = "Set HF_TOKEN to a token with write access, or run 'hf auth login'"

const maxMessageLength = 600

/** The status of a response that was an error; undefined for all other failures. @internal */
export const statusOf = ({ library }: Pick<Hub, "library">, cause: unknown): number | undefined =>
  cause instanceof library.HubApiError ? cause.statusCode : undefined

/** One line without the token, and without the signatures that URLs of a storage carry. */
const present = (text: string, token: string): string => {
  const line = clean(text.replaceAll(token, "<redacted>"))
    .replace(/(https?:\/\/[^\s?]+)\?\S*/g, "$1")
    .replace(/\s+/g, " ")
    .trim()
  return line.length > maxMessageLength ? `${line.slice(0, maxMessageLength)}…` : line
}

/** Whether a body is a web page, such as that of a proxy, and not JSON. */
const isPage = (cause: hub.HubApiError): boolean => {
  const { message } = (cause.data ?? {}) as { readonly message?: unknown }
  return typeof message === "string" && message.trimStart().startsWith("<")
}

const fromResponse = ({ endpoint, token }: Hub, cause: hub.HubApiError): CliError => {
  const { requestId, statusCode } = cause
  const message = present(cause.message, token)
  const request = requestId === undefined || message.includes(requestId) ? "" : ` (request ${requestId})`
  const details = `${message}${request}`
  if (isPage(cause) && [401, 403, 407, 502, 503, 504].includes(statusCode)) {
    return new CliError({
      title: `${endpoint} responded with status ${statusCode} and a web page, not as a hub does`,
      details: `A proxy may have sent it. Check HF_ENDPOINT and the network: ${details}`
    })
  }
  if (!cause.url.startsWith(endpoint)) {
    return new CliError({
      title: `The storage of Hugging Face responded with status ${statusCode}`,
      details: `Run the command again, and it continues: ${details}`
    })
  }
  switch (statusCode) {
    case 401:
      return new CliError({
        title: "Not logged in to Hugging Face",
        details: `The token is invalid or has expired. ${loginHint}: ${details}`
      })
    case 403:
      return new CliError({
        title: "Permission denied by Hugging Face",
        details: `The token has no write access there. ${loginHint}: ${details}`
      })
    case 429:
      return new CliError({ title: "Hugging Face limits the rate of requests", details: `Try again later: ${details}` })
    default:
      return new CliError({ title: `Hugging Face responded with status ${statusCode}`, details })
  }
}

/** The innermost cause, which names the reason: the message of `fetch` itself has none. */
const rootOf = (cause: unknown): unknown =>
  cause instanceof Error && cause.cause instanceof Error ? rootOf(cause.cause) : cause

/** Whether the same request would fail again: a proxy refused it. @internal */
export const isFinal = (cause: unknown): boolean =>
  cause instanceof NodeHttpClient.ProxyError
    ? cause.status !== undefined && cause.status < 500
    : cause instanceof Error && isFinal(cause.cause)

/** @internal */
export const toCliError = (client: Hub, cause: unknown): CliError => {
  const { endpoint, library, token } = client
  if (cause instanceof library.HubApiError) return fromResponse(client, cause)
  if (cause instanceof PauseTooLong) {
    return new CliError({
      title: "Hugging Face limits the rate of requests",
      details: `It asks to wait ${cause.seconds} seconds: run the command again then, and it continues`
    })
  }
  const problem = NodeHttpClient.explainFailure(cause)
  if (problem !== undefined) {
    return new CliError({ title: `${endpoint} cannot be reached`, details: present(problem, token) })
  }
  const root = rootOf(cause)
  const message = present(root instanceof Error ? root.message || root.name : String(root), token)
  const isOfNetwork = cause instanceof Error && (cause.message === "fetch failed" || cause.name === "TimeoutException")
  return new CliError({
    title: isOfNetwork ? `${endpoint} cannot be reached` : `${endpoint} did not respond as a hub does`,
    details: `${message}. Check HF_ENDPOINT and the network`
  })
}
