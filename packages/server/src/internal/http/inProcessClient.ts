/** Runs the handlers of an HTTP app in the fiber of the client that sends the request. */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { scopedIn } from "../effect/runtime.ts"
import * as clientResponse from "./clientResponse.ts"
import * as httpErrors from "./httpErrors.ts"
import * as serverRequest from "./serverRequest.ts"

/** What the app needs besides a request and its scope. */
type Requirements<R> = Exclude<R, HttpServerRequest.HttpServerRequest | Scope.Scope>

/** Handles a request. A failure becomes its response, such as 404 or 500; interruption stays interruption. */
const handle = <R>(app: HttpApp.Default<unknown, R>): HttpApp.Default<never, R> =>
  Effect.catchAllCause(app, (cause) =>
    Cause.isInterruptedOnly(cause)
      ? Effect.failCause(cause as Cause.Cause<never>)
      : Effect.map(HttpServerError.causeResponse(cause), ([response]) => response)
  )

/** The parent of the service's spans, on which the router cannot write its `http.route`: it is a span of the client. */
const withoutRoute = <R>(context: Context.Context<R>): Context.Context<R> => {
  const parent = Option.getOrUndefined(Context.getOption(context, Tracer.ParentSpan))
  return parent?._tag === "Span" ? Context.add(context, Tracer.ParentSpan, Tracer.externalSpan(parent)) : context
}

const execute = <R>(
  handled: HttpApp.Default<never, R>,
  context: Context.Context<Requirements<R>>,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> => {
  const url = UrlParams.makeUrl(request.url, request.urlParams, request.hash)
  if (Either.isLeft(url)) return Effect.fail(httpErrors.invalidUrl(request, url.left))
  return Effect.flatMap(serverRequest.fromClientRequest(request, url.right), (received) =>
    scopedIn(
      // read before the scope closes, which a streamed body may need
      Effect.flatMap(handled, (response) => clientResponse.fromServerResponse(request, response)),
      (caller: Context.Context<Scope.Scope>) =>
        // what the app has goes before what the caller has, but for the scope
        withoutRoute(Context.merge(caller, context)).pipe(
          Context.add(Scope.Scope, Context.get(caller, Scope.Scope)),
          Context.add(HttpServerRequest.HttpServerRequest, received)
        ) as Context.Context<HttpServerRequest.HttpServerRequest | R | Scope.Scope>
    )
  )
}

/** @internal */
export const fromHttpApp = <R>(
  app: HttpApp.Default<unknown, R>
): Effect.Effect<HttpClient.HttpClient, never, Requirements<R>> =>
  Effect.map(Effect.context<Requirements<R>>(), (context) => {
    const handled = handle(app)
    // not `HttpClient.make`: it registers every response for garbage collection, and programs that never yield to the
    // event loop, such as simulations, would never release the registrations
    return HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
      (request) => Effect.flatMap(request, (sent) => execute(handled, context, sent)),
      Effect.succeed
    )
  })
