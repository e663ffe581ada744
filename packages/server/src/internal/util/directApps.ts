/** Requests that need no router: those of a few paths, which are most of all requests. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Effect from "effect/Effect"

type Request = HttpServerRequest.HttpServerRequest

/** @internal */
export interface DirectApp {
  /** Whether it takes the request. Any other goes through the router. */
  readonly takes: (request: Request) => boolean
  readonly handle: (request: Request) => Effect.Effect<HttpServerResponse.HttpServerResponse, unknown>
}

/** Those that take a POST, by path. @internal */
export type DirectApps = ReadonlyMap<string, DirectApp>

/** What handles a request without the router; `undefined` if nothing does. @internal */
export const find = (apps: DirectApps, request: Request): DirectApp | undefined => {
  const app = request.method === "POST" ? apps.get(request.url) : undefined
  return app?.takes(request) === true ? app : undefined
}
