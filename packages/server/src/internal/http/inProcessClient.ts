/** Runs the handlers of an HTTP app in the fiber of the client that sends the request. */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as clientResponse from "./clientResponse.ts"
import * as httpErrors from "./httpErrors.ts"
import * as serverRequest from "./serverRequest.ts"

/** What the app needs besides a request and its scope. */
type Requirements<R> = Exclude<R, HttpServerRequest.HttpServerRequest | Scope.Scope>

/** Handles a request. A failure becomes its response, such as 404 or 500; interruption stays interruption. */
const handle = <R>(
  app: HttpApp.Default<unknown, R>,
  context: Context.Context<Requirements<R>>,
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, Scope.Scope> => {
  const handled = Effect.catchAllCause(app, (cause) =>
    Cause.isInterruptedOnly(cause)
      ? Effect.failCause(cause as Cause.Cause<never>)
      : Effect.map(HttpServerError.causeResponse(cause), ([response]) => response)
  )
  return Effect.mapInputContext(
    handled,
    (scope: Context.Context<Scope.Scope>) =>
      Context.merge(scope, context).pipe(
        Context.add(HttpServerRequest.HttpServerRequest, request),
        withoutRoute
      ) as Context.Context<R | HttpServerRequest.HttpServerRequest>
  )
}

/** The parent of the service's spans, on which the router cannot write its `http.route`: it is a span of the client. */
const withoutRoute = <R>(context: Context.Context<R>): Context.Context<R> => {
  const parent = Option.getOrUndefined(Context.getOption(context, Tracer.ParentSpan))
  return parent?._tag === "Span" ? Context.add(context, Tracer.ParentSpan, Tracer.externalSpan(parent)) : context
}

const execute = <R>(
  app: HttpApp.Default<unknown, R>,
  context: Context.Context<Requirements<R>>,
  request: HttpClientRequest.HttpClientRequest
) =>
  Effect.gen(function* () {
    const url = yield* Effect.mapError(UrlParams.makeUrl(request.url, request.urlParams, request.hash), (cause) =>
      httpErrors.invalidUrl(request, cause)
    )
    const received = yield* serverRequest.fromClientRequest(request, url)
    const response = yield* handle(app, context, received)
    // inside the scope, which a streamed body may need
    return yield* clientResponse.fromServerResponse(request, response)
  }).pipe(Effect.scoped)

/** @internal */
export const fromHttpApp = <R>(
  app: HttpApp.Default<unknown, R>
): Effect.Effect<HttpClient.HttpClient, never, Requirements<R>> =>
  Effect.map(Effect.context<Requirements<R>>(), (context) =>
    // not `HttpClient.make`: it registers every response for garbage collection, and programs that never yield to the
    // event loop, such as simulations, would never release the registrations
    HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
      (request) => Effect.flatMap(request, (sent) => execute(app, context, sent)),
      Effect.succeed
    )
  )
