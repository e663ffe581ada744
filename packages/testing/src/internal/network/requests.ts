/** What a network reads from a request: its endpoint, its JSON body, and the session that it is about. */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import { prefix } from "@effect-tinker/api/TinkerApi"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Either from "effect/Either"

type Request = HttpClientRequest.HttpClientRequest

/** The path below `/api/v1/`. @internal */
export const endpointOf = (url: string): string => {
  const path = url.split("?", 1)[0]!
  const at = path.lastIndexOf(`${prefix}/`)
  return at < 0 ? path : path.slice(at + prefix.length + 1)
}

/** The parsed JSON body of a request; `undefined` if it has none. @internal */
export const jsonBodyOf = ({ body }: Request): unknown => {
  if (body._tag !== "Uint8Array" || !body.contentType.startsWith("application/json")) return undefined
  try {
    return JSON.parse(new TextDecoder().decode(body.body))
  } catch {
    return undefined
  }
}

const protobufBodyOf = ({ body }: Request): unknown =>
  body._tag === "Uint8Array" && ProtobufCodec.isProtobuf(body.contentType)
    ? Either.getOrUndefined(ProtobufCodec.decodeForwardBackwardRequest(body.body))
    : undefined

const sessionPattern = /^[0-9a-f]{8}-[0-9a-f-]{27}/

/** The session that a request is about: the ids of models, samplers and futures begin with its id. */
const sessionOf = (request: Request): string | undefined => {
  const fields = (protobufBodyOf(request) ?? jsonBodyOf(request) ?? {}) as { readonly [key: string]: unknown }
  for (const key of ["session_id", "model_id", "sampling_session_id", "request_id"]) {
    const value = fields[key]
    const found = typeof value === "string" ? sessionPattern.exec(value)?.[0] : undefined
    if (found !== undefined) return found
  }
  return undefined
}

/** The request that ends the session of another request. @internal */
export const finishSessionRequest = (request: Request): Request | undefined => {
  const session = sessionOf(request)
  if (session === undefined) return undefined
  const base = request.url.slice(0, request.url.lastIndexOf(`${prefix}/`))
  return HttpClientRequest.post(`${base}${prefix}/sessions/${session}/finish`).pipe(
    HttpClientRequest.setHeaders({ "x-api-key": request.headers["x-api-key"] ?? "" }),
    HttpClientRequest.bodyUnsafeJson({ reason: { type: "interrupted" }, detail: "simulated" })
  )
}
