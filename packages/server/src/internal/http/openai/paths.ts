/** The paths of the OpenAI protocol, and what differs for its requests: how they authenticate, and the form of errors. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"

type Request = HttpServerRequest.HttpServerRequest

/** At the root, and where the hosted service has it. @internal */
export const fixedPrefixes = ["/v1", "/oai/api/v1"] as const

/** Those, and with the key of a conversation in the path. @internal */
export const prefixes = [...fixedPrefixes, "/conversations/:conversation/v1"] as const

const pathOf = (url: string): string => url.split(/[?#]/, 1)[0]!

/** Whether a request is one of the protocol. @internal */
export const isOpenAi = ({ url }: Pick<Request, "url">): boolean =>
  /^\/(?:v1|oai\/api\/v1|conversations\/[^/]+\/v1)\//.test(url)

/** The key of the conversation in the path. @internal */
export const conversationOf = (url: string): string | undefined => /^\/conversations\/([^/]+)\//.exec(url)?.[1]

/** The model in the path, which has slashes itself. @internal */
export const modelOf = (url: string): string => {
  const encoded = /\/v1\/models\/(.*)$/s.exec(pathOf(url))?.[1] ?? ""
  try {
    return decodeURIComponent(encoded)
  } catch {
    return encoded
  }
}

/** The key of a request: these clients send it as a bearer. @internal */
export const credentialOf = (request: Request): string | undefined => {
  const { headers } = request
  const bearer = isOpenAi(request) ? /^Bearer +(\S+)$/i.exec(headers["authorization"] ?? "")?.[1] : undefined
  return headers["x-api-key"] ?? bearer
}

/** How OpenAI's own service names what is wrong, beside `invalid_request_error` and `server_error` without a code. */
const named: { readonly [status: number]: { readonly type?: string; readonly code: string } } = {
  401: { code: "invalid_api_key" },
  429: { type: "requests", code: "rate_limit_exceeded" }
}

/** The header that these clients send their key in, as messages name it. @internal */
export const keyHeaderOf = (request: Request): string => (isOpenAi(request) ? "Authorization: Bearer" : "X-API-Key")

/** The body of an error in the form of the protocol. @internal */
export const errorBody = (error: {
  readonly status: number
  readonly message: string
  readonly param?: string | undefined
  readonly code?: string | undefined
}) => ({
  error: {
    message: error.message,
    type: named[error.status]?.type ?? (error.status >= 500 ? "server_error" : "invalid_request_error"),
    param: error.param ?? null,
    code: error.code ?? named[error.status]?.code ?? null
  }
})

const detailOf = ({ body }: HttpServerResponse.HttpServerResponse): string | undefined => {
  if (body._tag !== "Uint8Array") return undefined
  const parsed: unknown = JSON.parse(new TextDecoder().decode(body.body))
  return typeof parsed === "object" && parsed !== null && "detail" in parsed ? String(parsed.detail) : undefined
}

/** Gives an error of the service the form of the protocol. @internal */
export const withErrorForm = (
  request: Request,
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  if (response.status < 400 || !isOpenAi(request)) return response
  const message = detailOf(response)
  if (message === undefined) return response
  const { status } = response
  const { "content-length": _, "content-type": __, ...headers } = response.headers
  return HttpServerResponse.unsafeJson(errorBody({ status, message }), { status, headers })
}
