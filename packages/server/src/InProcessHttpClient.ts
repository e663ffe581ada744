/**
 * An `HttpClient` that calls the service in the same process, without a socket. Handlers run in the fiber that sends the
 * request: they use its `Clock` (so `TestClock` drives client and service), and interrupting the request interrupts its
 * handler. Bodies are encoded and decoded on both sides as over a socket. Any base URL works.
 *
 * @since 0.1.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpServer from "@effect/platform/HttpServer"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as CheckpointStore from "./CheckpointStore.ts"
import type * as Store from "./Store.ts"
import type * as Engine from "./Engine.ts"
import * as inProcessClient from "./internal/http/inProcessClient.ts"
import * as TinkerServer from "./TinkerServer.ts"
import type * as TinkerService from "./TinkerService.ts"

/**
 * A client of any HTTP app. A failure of the app becomes a response, such as 404 or 500, and never an error of the
 * client.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromHttpApp: <R>(
  app: HttpApp.Default<unknown, R>
) => Effect.Effect<HttpClient.HttpClient, never, Exclude<R, HttpServerRequest.HttpServerRequest | Scope.Scope>> =
  inProcessClient.fromHttpApp

/**
 * A client of the endpoints in a layer. The layer is built in the scope.
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
 * A client of a new service.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: TinkerServer.Options = {}
): Layer.Layer<HttpClient.HttpClient, never, Engine.Engine | CheckpointStore.CheckpointStore | Store.Store> =>
  Layer.scoped(HttpClient.HttpClient, make(TinkerServer.layer(options)))

/**
 * A client of an existing service.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient = (
  options: TinkerServer.HandlerOptions = {}
): Layer.Layer<HttpClient.HttpClient, never, TinkerService.TinkerService> =>
  Layer.scoped(HttpClient.HttpClient, make(TinkerServer.layerHandlers(options)))
