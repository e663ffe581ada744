/// <reference types="node" />
/**
 * The service behind a listener of Node. This module, and no other of the package, needs Node; the package's index
 * leaves it out, so import it as `@effect-tinker/server/NodeServer`.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpServer from "@effect/platform/HttpServer"
import type * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Http from "node:http"
import type * as CheckpointStore from "./CheckpointStore.ts"
import type * as Engine from "./Engine.ts"
import * as apiErrors from "./internal/http/apiErrors.ts"
import * as TinkerServer from "./TinkerServer.ts"
import * as TinkerService from "./TinkerService.ts"

/**
 * The listener would let everyone on the network in.
 *
 * @since 0.1.0
 * @category errors
 */
export class ExposedWithoutKeys extends Schema.TaggedError<ExposedWithoutKeys>(
  "@effect-tinker/server/NodeServer/ExposedWithoutKeys"
)("ExposedWithoutKeys", { host: Schema.String }) {
  override get message(): string {
    return `will not listen on ${this.host || "all addresses"} without API keys: give apiKeys, or listen on 127.0.0.1`
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends TinkerServer.Options {
  /** 127.0.0.1; an address that other machines reach needs `apiKeys` */
  readonly host?: string | undefined
  /** any free one; `HttpServer.address` tells which */
  readonly port?: number | undefined
  /** bytes of a request's body; 1 GiB */
  readonly maxBodySize?: number | undefined
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)

const makeServer = Effect.sync(() => {
  const server = Http.createServer()
  // longer than clients keep idle connections, so that none is closed under a request
  server.keepAliveTimeout = 75_000
  return server
})

/** Waits for the answers under way, and not for clients that keep their connections open. */
const closing = (server: Http.Server) =>
  Effect.async<void>((resume) => {
    server.close(() => resume(Effect.void))
    server.closeIdleConnections()
  }).pipe(
    Effect.interruptible,
    Effect.timeoutOption("2 seconds"),
    Effect.zipRight(Effect.sync(() => server.closeAllConnections()))
  )

const listen = (options: Options, server: Http.Server) =>
  Effect.gen(function* () {
    const service = yield* TinkerService.TinkerService
    const limit = options.maxBodySize ?? 2 ** 30
    let stopping = false

    const tooLarge = apiErrors.toResponse({ status: 413, detail: `the body is larger than ${limit} bytes` })
    // a client that polls on would keep its connection open for ever
    const hangUp = HttpApp.appendPreResponseHandler((_, response) =>
      Effect.succeed(stopping ? HttpServerResponse.setHeader(response, "connection", "close") : response)
    )
    const middleware = (app: HttpApp.Default): HttpApp.Default =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
        Number(request.headers["content-length"] ?? 0) > limit
          ? Effect.succeed(tooLarge)
          : Effect.zipRight(hangUp, HttpIncomingMessage.withMaxBodySize(app, Option.some(FileSystem.Size(limit))))
      )

    const stop = Effect.addFinalizer(() =>
      Effect.suspend(() => {
        stopping = true
        return Effect.zipRight(service.stopWaiting, closing(server))
      })
    )

    // what is built last is closed first: answers go out while everything behind them is still there
    return Layer.scopedDiscard(stop).pipe(
      Layer.provideMerge(HttpApiBuilder.serve(middleware)),
      Layer.provide(TinkerServer.layerHandlers(options)),
      Layer.provideMerge(
        NodeHttpServer.layer(() => server, { host: options.host ?? "127.0.0.1", port: options.port ?? 0 })
      )
    )
  })

/**
 * Listens for as long as the layer lives. When it is released, polls that wait are told to try again, answers under way
 * are finished, and then the service stops.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<
  HttpServer.HttpServer | TinkerService.TinkerService,
  ExposedWithoutKeys | HttpServerError.ServeError,
  Engine.Engine | CheckpointStore.CheckpointStore
> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const host = options.host ?? "127.0.0.1"
      if ((options.apiKeys ?? []).length === 0 && !isLoopback(host)) return yield* new ExposedWithoutKeys({ host })
      return Layer.unwrapEffect(listen(options, yield* makeServer))
    })
  ).pipe(Layer.provideMerge(TinkerService.layer(options)))

/**
 * The base URL of a listener.
 *
 * @since 0.1.0
 * @category getters
 */
export const baseUrl: Effect.Effect<string, never, HttpServer.HttpServer> = HttpServer.addressFormattedWith(
  Effect.succeed
)

/**
 * Listens until it is interrupted.
 *
 * @since 0.1.0
 * @category running
 */
export const serve = (
  options: Options = {}
): Effect.Effect<
  never,
  ExposedWithoutKeys | HttpServerError.ServeError,
  Engine.Engine | CheckpointStore.CheckpointStore
> =>
  Layer.launch(
    Layer.effectDiscard(Effect.flatMap(baseUrl, (url) => Effect.logInfo(`listening on ${url}`))).pipe(
      Layer.provide(layer(options))
    )
  )
