/** Why there is no response, or only a part of one: what the errors of HttpClients, of `fetch` and of undici mean. */
import { causesOf, certificateProblem, codeOf, connectionProblem } from "./problem.ts"
import { ProxyError } from "./proxyError.ts"

/** @internal */
export interface Failure {
  readonly reason: "Connection" | "Timeout" | "InvalidUrl" | "TooLarge" | "Certificate" | "Proxy"
  /** what happened and what to do */
  readonly detail?: string | undefined
  /** without user name and password */
  readonly proxy?: string
  readonly proxyStatus?: number | undefined
  /** the size in bytes that a response passed */
  readonly limit?: number
  readonly cause?: unknown
}

// undici's names for its timeouts, and Node's
const timeoutCodes = new Set([
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "ETIMEDOUT"
])

/** The fields of a failure that are there, for a `TransportError`. @internal */
export const fieldsOf = ({ cause, detail, limit, proxy, proxyStatus, reason }: Failure) => ({
  reason,
  ...(detail === undefined ? {} : { detail }),
  ...(proxy === undefined ? {} : { proxy }),
  ...(proxyStatus === undefined ? {} : { proxyStatus }),
  ...(limit === undefined ? {} : { limit }),
  ...(cause === undefined ? {} : { cause })
})

/** Classifies an error of undici, or the cause of an HttpClientError. @internal */
export const failureOf = (cause: unknown): Failure => {
  if (cause === undefined) return { reason: "Connection" }
  const causes = causesOf(cause)
  const proxy = causes.find((one) => one instanceof ProxyError)
  if (proxy !== undefined) {
    return { reason: "Proxy", detail: proxy.message, proxy: proxy.proxy, proxyStatus: proxy.status, cause }
  }
  const code = codeOf(causes)
  if (code === undefined) return { reason: "Connection", cause }
  if (timeoutCodes.has(code)) return { reason: "Timeout", cause }
  const certificate = certificateProblem(code)
  return certificate === undefined
    ? { reason: "Connection", detail: connectionProblem(code), cause }
    : { reason: "Certificate", detail: certificate, cause }
}
