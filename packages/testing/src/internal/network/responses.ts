/** Responses that the service did not send: substituted, cut off and garbled ones. */
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { PCGRandom } from "effect/Utils"
import { bodyError, type HttpClientErrors } from "../effect/httpErrors.ts"

type Response = HttpClientResponse.HttpClientResponse

/** A response made in this process. @internal */
export const respond = (
  request: HttpClientRequest.HttpClientRequest,
  options: { readonly status: number; readonly headers: { readonly [name: string]: string }; readonly body: string }
): Effect.Effect<Response, HttpClientErrors> => {
  const bytes = new TextEncoder().encode(options.body)
  const headers = { ...options.headers, "content-length": String(bytes.length) }
  const app = Effect.succeed(HttpServerResponse.raw(bytes, { status: options.status, headers }))
  return Effect.flatMap(InProcessHttpClient.fromHttpApp(app), (client) => client.execute(request))
}

/** The response, whose body fails to arrive. @internal */
export const cutBody = (response: Response): Response => {
  const error = bodyError(response, "the connection was lost within the body")
  const fails = { value: Effect.fail(error) }
  return Object.create(response, {
    text: fails,
    json: fails,
    arrayBuffer: fails,
    urlParamsBody: fails,
    stream: { value: Stream.fail(error) }
  }) as Response
}

// field 1 with wire type 7, which does not exist
const brokenProtobuf = "\u000f\u000f\u000f"
const proxyPage = "<html><body>upstream connect error</body></html>"

/** The response with a body that cannot be decoded: broken protobuf, the page of a proxy, or half of the JSON. @internal */
export const garble = (response: Response, random: PCGRandom): Effect.Effect<Response, HttpClientErrors> =>
  Effect.gen(function* () {
    const type = response.headers["content-type"] ?? "application/json"
    const bytes = new Uint8Array(yield* response.arrayBuffer)
    const body = type.includes("protobuf")
      ? brokenProtobuf
      : random.integer(2) === 0 || bytes.length < 3
        ? proxyPage
        : new TextDecoder().decode(bytes.subarray(0, Math.floor(bytes.length / 2)))
    return yield* respond(response.request, { status: response.status, headers: { "content-type": type }, body })
  })
