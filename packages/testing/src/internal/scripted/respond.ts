/** Turns the reply of a script into the response, or the failure, that the client gets. */
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import { type HttpClientErrors, requestError } from "../effect/httpErrors.ts"

type ScriptedReply =
  | {
      readonly _tag: "Response"
      readonly status: number
      readonly headers: { readonly [name: string]: string }
      readonly body: string | Uint8Array
    }
  | { readonly _tag: "Failure"; readonly reason: "Transport" | "Encode" | "InvalidUrl"; readonly description: string }

/** @internal */
export const respond = (
  request: HttpClientRequest.HttpClientRequest,
  reply: ScriptedReply
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientErrors> => {
  if (reply._tag === "Failure") {
    const { description, reason } = reply
    return Effect.fail(requestError({ request, reason, description }))
  }
  const { body, headers, status } = reply
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body
  // not a web Response: reading one takes turns of the event loop, which a test clock does not await
  const app = Effect.succeed(HttpServerResponse.raw(bytes, { status, headers }))
  return Effect.flatMap(InProcessHttpClient.fromHttpApp(app), (client) => client.execute(request))
}
