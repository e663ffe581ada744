/**
 * An `HttpClient` whose requests are answered by the service itself, in the fiber that sends them: no socket, the
 * caller's `Clock` (so that `TestClock` drives both sides), and interrupting a request interrupts its handler. Bodies
 * are encoded and decoded on both sides as over a socket, and any base URL will do.
 *
 * @since 0.1.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as CheckpointStore from "./CheckpointStore.ts"
import type * as Engine from "./Engine.ts"
import * as messages from "./internal/http/messages.ts"
import * as TinkerServer from "./TinkerServer.ts"
import type * as TinkerService from "./TinkerService.ts"

/**
 * A client of any HTTP app. A failure of the app becomes the answer that it stands for, such as 404 and 500; never a
 * failure of the client.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromHttpApp = <R>(
  app: HttpApp.Default<unknown, R>
): Effect.Effect<HttpClient.HttpClient, never, Exclude<R, HttpServerRequest.HttpServerRequest | Scope.Scope>> =>
  Effect.map(Effect.context<Exclude<R, HttpServerRequest.HttpServerRequest | Scope.Scope>>(), (context) => {
    const execute = (request: HttpClientRequest.HttpClientRequest) =>
      Effect.gen(function* () {
        const url = yield* Effect.mapError(
          UrlParams.makeUrl(request.url, request.urlParams, request.hash),
          (cause) => new HttpClientError.RequestError({ request, reason: "InvalidUrl", cause })
        )
        const received = yield* messages.toServerRequest(request, url)
        const handled = Effect.catchAllCause(app, (cause) =>
          Cause.isInterruptedOnly(cause)
            ? Effect.failCause(cause as Cause.Cause<never>)
            : Effect.map(HttpServerError.causeResponse(cause), ([response]) => response)
        )
        const provided = Effect.mapInputContext(
          handled,
          (caller: Context.Context<Scope.Scope>) =>
            Context.merge(caller, context).pipe(
              Context.add(HttpServerRequest.HttpServerRequest, received)
            ) as Context.Context<R | HttpServerRequest.HttpServerRequest>
        )
        // the answer's body may be a stream that needs the scope of the request
        return yield* Effect.flatMap(provided, (response) => messages.toClientResponse(request, response))
      }).pipe(Effect.scoped)
    // not `HttpClient.make`: it registers each answer to be aborted once it is forgotten, and whoever waits for no macrotask
    // between the requests, as a simulation, keeps that register for good
    return HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
      (request) => Effect.flatMap(request, execute),
      Effect.succeed
    )
  })

/**
 * A client of the endpoints that a layer holds. What the layer builds lives as long as the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E, R>(
  api: Layer.Layer<HttpApi.Api, E, R>
): Effect.Effect<HttpClient.HttpClient, E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      Layer.mergeAll(api, HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer, HttpServer.layerContext)
    )
    const app = yield* Effect.provide(HttpApiBuilder.httpApp, context)
    return yield* Effect.provide(fromHttpApp(app), context)
  })

/**
 * A client of a service of its own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: TinkerServer.Options = {}
): Layer.Layer<HttpClient.HttpClient, never, Engine.Engine | CheckpointStore.CheckpointStore> =>
  Layer.scoped(HttpClient.HttpClient, make(TinkerServer.layer(options)))

/**
 * A client of a service that is there already.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient = (
  options: TinkerServer.HandlerOptions = {}
): Layer.Layer<HttpClient.HttpClient, never, TinkerService.TinkerService> =>
  Layer.scoped(HttpClient.HttpClient, make(TinkerServer.layerHandlers(options)))
