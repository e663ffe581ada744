/// <reference types="node" />
/**
 * Serves the endpoints over HTTP with Node. It is the only module of this package that needs Node, so the package's index
 * leaves it out: import it as `@effect-tinker/server/NodeServer`.
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
 * The server would listen on a public address, and accept everyone's requests.
 *
 * @since 0.1.0
 * @category errors
 */
export class ExposedWithoutKeys extends Schema.TaggedError<ExposedWithoutKeys>(
  "@effect-tinker/server/NodeServer/ExposedWithoutKeys"
)("ExposedWithoutKeys", { host: Schema.String }) {
  override get message(): string {
    return `will not listen on ${this.host || "all addresses"} without API keys: set apiKeys, or listen on 127.0.0.1`
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends TinkerServer.Options {
  /** the address to listen on; 127.0.0.1 by default. A public address requires `apiKeys` */
  readonly host?: string | undefined
  /** the port; any free one by default, which `HttpServer.address` returns */
  readonly port?: number | undefined
  /** largest size of a request body in bytes; 1 GiB by default */
  readonly maxBodySize?: number | undefined
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)

const makeHttpServer = Effect.sync(() => {
  const server = Http.createServer()
  // longer than clients keep idle connections, so that the server never closes one that a request is just using
  server.keepAliveTimeout = 75_000
  return server
})

/** Closes the server once all responses are sent, or after 2 seconds. Idle connections are closed at once. */
const close = (server: Http.Server): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    server.close(() => resume(Effect.void))
    server.closeIdleConnections()
  }).pipe(
    Effect.interruptible,
    Effect.timeoutOption("2 seconds"),
    Effect.andThen(Effect.sync(() => server.closeAllConnections()))
  )

/** Rejects bodies larger than `maxBodySize`. Once `isStopping`, responses close their connection. */
const makeMiddleware = (maxBodySize: number, isStopping: () => boolean) => {
  const tooLarge = apiErrors.toResponse({ status: 413, detail: `the body is larger than ${maxBodySize} bytes` })
  // a client that polls would keep its connection open for ever
  const closeConnection = HttpApp.appendPreResponseHandler((_, response) =>
    Effect.succeed(isStopping() ? HttpServerResponse.setHeader(response, "connection", "close") : response)
  )
  return (app: HttpApp.Default): HttpApp.Default =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Number(request.headers["content-length"] ?? 0) > maxBodySize
        ? Effect.succeed(tooLarge)
        : Effect.flatMap(closeConnection, () =>
            HttpIncomingMessage.withMaxBodySize(app, Option.some(FileSystem.Size(maxBodySize)))
          )
    )
}

const listen = (options: Options, server: Http.Server) =>
  Effect.map(TinkerService.TinkerService, ({ stopWaiting }) => {
    let stopping = false
    const stop = Effect.addFinalizer(() =>
      Effect.suspend(() => {
        stopping = true
        return Effect.andThen(stopWaiting, close(server))
      })
    )
    // layers are released in reverse order: responses are sent before the service and its handlers stop
    return Layer.scopedDiscard(stop).pipe(
      Layer.provideMerge(HttpApiBuilder.serve(makeMiddleware(options.maxBodySize ?? 2 ** 30, () => stopping))),
      Layer.provide(TinkerServer.layerHandlers(options)),
      Layer.provideMerge(
        NodeHttpServer.layer(() => server, { host: options.host ?? "127.0.0.1", port: options.port ?? 0 })
      )
    )
  })

/**
 * A server and its service. When the layer is released, pending polls respond "try again", responses are sent, and then
 * the service stops. It refuses to listen on a public address unless `apiKeys` is set.
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
      return Layer.unwrapEffect(listen(options, yield* makeHttpServer))
    })
  ).pipe(Layer.provideMerge(TinkerService.layer(options)))

/**
 * The base URL of the server.
 *
 * @since 0.1.0
 * @category getters
 */
export const baseUrl: Effect.Effect<string, never, HttpServer.HttpServer> = HttpServer.addressFormattedWith(
  Effect.succeed
)

/**
 * Runs a server until it is interrupted.
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
