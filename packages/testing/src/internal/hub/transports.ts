/** A fake hub as an `HttpClient`, and as an app for a server with sockets. */
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { bodyError, type HttpClientErrors, requestError } from "../effect/httpErrors.ts"
import type { Reply } from "./replies.ts"

/** A request as both transports receive it. @internal */
export interface Incoming {
  readonly method: string
  readonly url: URL
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: Effect.Effect<Uint8Array>
}

/** @internal */
export type Handle = (incoming: Incoming) => Effect.Effect<Reply, "ConnectionLost">

/** The response, whose body breaks off, or stops without an end. */
const endEarly = (response: HttpClientResponse.HttpClientResponse, { body, ending }: Reply) => {
  if (ending === "complete") return response
  const error = bodyError(response, "the connection was lost within the body")
  const rest = ending === "silence" ? Stream.never : Stream.fail(error)
  const read = { value: ending === "silence" ? Effect.never : Effect.fail(error) }
  return Object.create(response, {
    text: read,
    json: read,
    arrayBuffer: read,
    stream: { value: Stream.concat(Stream.succeed(body), rest) }
  }) as HttpClientResponse.HttpClientResponse
}

const toClientResponse = (request: HttpClientRequest.HttpClientRequest, reply: Reply) => {
  const { body, headers, status } = reply
  const app = Effect.succeed(HttpServerResponse.raw(body, { status, headers }))
  return InProcessHttpClient.fromHttpApp(app).pipe(
    Effect.flatMap((client) => client.execute(request)),
    Effect.map((response) => endEarly(response, reply))
  )
}

/** The body of a request, if that is in memory. */
const bodyOf = ({ body }: HttpClientRequest.HttpClientRequest): Effect.Effect<Uint8Array> =>
  Effect.succeed(body._tag === "Uint8Array" ? body.body : new Uint8Array())

/** A client that responds in the fiber of the caller. @internal */
export const client = (handle: Handle): HttpClient.HttpClient =>
  HttpClient.make((request, url): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientErrors> =>
    handle({ method: request.method, url, headers: request.headers, body: bodyOf(request) }).pipe(
      Effect.mapError(() =>
        requestError({ request, reason: "Transport", description: "ECONNRESET", cause: new Error("ECONNRESET") })
      ),
      Effect.flatMap((reply) => toClientResponse(request, reply))
    )
  )

/** Closes the socket of Node's request, if the server has sockets. */
const closeConnection = ({ source }: HttpServerRequest.HttpServerRequest): Effect.Effect<never> =>
  Effect.flatMap(
    Effect.sync(() => (source as { readonly socket?: { readonly destroy: () => void } }).socket?.destroy()),
    () => Effect.never
  )

const toServerResponse = (
  request: HttpServerRequest.HttpServerRequest,
  { body, ending, headers, status }: Reply
): HttpServerResponse.HttpServerResponse => {
  if (ending === "complete") return HttpServerResponse.raw(body, { status, headers })
  // lets the data that was written before be sent first
  const cut = Effect.delay(closeConnection(request), "20 millis")
  const rest = ending === "silence" ? Effect.never : cut
  return HttpServerResponse.stream(Stream.concat(Stream.succeed(body), Stream.fromEffect(rest)), { status, headers })
}

/** An app that responds to requests from sockets. @internal */
export const app = (handle: Handle): HttpApp.Default =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const url = new URL(request.url, `http://${request.headers["host"] ?? "localhost"}`)
    const { headers, method } = request
    const body = Effect.map(Effect.orDie(request.arrayBuffer), (buffer) => new Uint8Array(buffer))
    return yield* handle({ method, url, headers, body }).pipe(
      Effect.map((reply) => toServerResponse(request, reply)),
      Effect.catchAll(() => closeConnection(request))
    )
  })
