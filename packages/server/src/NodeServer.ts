/// <reference types="node" />
/**
 * Serves the endpoints over HTTP with Node. It is the only module of this package that needs Node, so the package's index
 * leaves it out: import it as `@effect-tinker/server/NodeServer`.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServer from "@effect/platform/HttpServer"
import type * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Http from "node:http"
import type * as CheckpointStore from "./CheckpointStore.ts"
import type * as Engine from "./Engine.ts"
import * as apiErrors from "./internal/http/apiErrors.ts"
import { BodyBudget, CurrentBudget, CurrentLease } from "./internal/http/body/budget.ts"
import { BodyReader, type ReadBody } from "./internal/http/body/reader.ts"
import { readNodeBody } from "./internal/http/body/nodeReader.ts"
import * as webPages from "./internal/http/webPages.ts"
import * as requests from "./internal/monitoring/requests.ts"
import type { DurationInput } from "./internal/util/duration.ts"
import * as Store from "./Store.ts"
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
 * An origin in `allowOrigins` is not one that browsers send.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidOrigin extends Schema.TaggedError<InvalidOrigin>("@effect-tinker/server/NodeServer/InvalidOrigin")(
  "InvalidOrigin",
  { origin: Schema.String }
) {
  override get message(): string {
    return `${JSON.stringify(this.origin)} is not an origin: give scheme, host and port only, as in https://example.com`
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
  /** largest size of any request body in bytes, also of an upload; 1 GiB by default. `bodyLimits` are smaller */
  readonly maxBodySize?: number | undefined
  /**
   * Largest size of all request bodies that are in memory at a time, in bytes; 512 MiB by default. A user with a key has
   * half of it. A body that does not fit gets 503 with `Retry-After`.
   */
  readonly maxBodyMemory?: number | undefined
  /**
   * How long the server finishes its work when the layer is released: it rejects new sessions and operations (503), and
   * stops when there is no more work, or after this time; 0 by default
   */
  readonly drain?: DurationInput | undefined
  /**
   * Origins whose web pages may call the service, such as `https://example.com`; none by default. Requests from pages of
   * other origins get 403. A service without `apiKeys` also rejects every `Host` but those of the loopback address (421).
   */
  readonly allowOrigins?: ReadonlyArray<string> | undefined
  /**
   * Whether other services may use the store at the same time: one that only the program itself calls does not mind. By
   * default a second service on one store fails, unless that is PostgreSQL.
   */
  readonly sharesStore?: boolean | undefined
}

/** How many connections may wait to be accepted; with Node's 511, some of a thousand clients that come at once are dropped. */
const backlog = 4096

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

interface ListenerPolicy extends webPages.Policy {
  readonly maxBodySize: number
  readonly budget: BodyBudget
  /** Once it is, responses close their connection: a client that polls would keep it open for ever. */
  readonly isStopping: () => boolean
}

/** Polls, heartbeats and the like: the operations that they are about have spans. */
const untracedPath =
  /\/(retrieve_futures?|cancel_future|session_heartbeat|telemetry|healthz|metrics|client\/config|client\/dynamic_config|auth\/token)$/

const isUntraced = ({ url }: HttpServerRequest.HttpServerRequest): boolean => untracedPath.test(url.split("?", 1)[0]!)

/** Rejects requests from pages of other origins, and bodies larger than `maxBodySize`. */
const makeMiddleware = (policy: ListenerPolicy) => {
  const { budget, isStopping, maxBodySize } = policy
  const tooLarge = apiErrors.toResponse({ status: 413, detail: `the body is larger than ${maxBodySize} bytes` })
  const withHeaders = (
    request: HttpServerRequest.HttpServerRequest,
    response: HttpServerResponse.HttpServerResponse
  ) => {
    const readable = webPages.withCors(policy, request, response)
    return isStopping() ? HttpServerResponse.setHeader(readable, "connection", "close") : readable
  }
  const read: ReadBody = (request, limit) => readNodeBody(request, Math.min(limit, maxBodySize))
  const ofServer = Context.add(Context.make(BodyReader, read), CurrentBudget, budget)
  const addHeaders = HttpApp.appendPreResponseHandler((request, response) =>
    Effect.succeed(withHeaders(request, response))
  )
  const rejectionOf = (request: HttpServerRequest.HttpServerRequest) =>
    webPages.objectionTo(policy, request) ??
    webPages.preflight(policy, request) ??
    (Number(request.headers["content-length"] ?? 0) > maxBodySize ? tooLarge : undefined)
  return (app: HttpApp.Default): HttpApp.Default =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const rejection = rejectionOf(request)
      if (rejection !== undefined) return requests.observe(() => Effect.succeed(withHeaders(request, rejection)))
      const lease = budget.lease()
      const services = Context.add(ofServer, CurrentLease, lease)
      return Effect.provide(
        Effect.andThen(addHeaders, isUntraced(request) ? Effect.withTracerEnabled(app, false) : app),
        services
      )
    })
}

/**
 * Whether a server that listens on this host, by default 127.0.0.1, is reached from its own machine only.
 *
 * @since 0.1.0
 * @category guards
 */
export const isLoopback = (host: string | undefined): boolean => webPages.isLoopback(host ?? "127.0.0.1")

const hasKeys = ({ apiKeys = [] }: Options): boolean => apiKeys.length > 0

/** Rejects options that would open the service to others than its users. */
const validate = Effect.fnUntraced(function* (options: Options) {
  const host = options.host ?? "127.0.0.1"
  if (!hasKeys(options) && !isLoopback(host)) return yield* new ExposedWithoutKeys({ host })
  const invalid = options.allowOrigins?.find((origin) => !webPages.isOrigin(origin))
  if (invalid !== undefined) return yield* new InvalidOrigin({ origin: invalid })
})

const listen = (options: Options, server: Http.Server) =>
  Effect.map(TinkerService.TinkerService, ({ drain, stopWaiting }) => {
    let stopping = false
    const stop = Effect.addFinalizer(() =>
      Effect.andThen(
        options.drain === undefined ? Effect.void : drain(options.drain),
        Effect.suspend(() => {
          stopping = true
          return Effect.andThen(stopWaiting, close(server))
        })
      )
    )
    const bodyMemory = options.maxBodyMemory ?? 512 * 2 ** 20
    const policy: ListenerPolicy = {
      hasKeys: hasKeys(options),
      allowOrigins: options.allowOrigins ?? [],
      maxBodySize: options.maxBodySize ?? 2 ** 30,
      budget: new BodyBudget(bodyMemory, hasKeys(options) ? bodyMemory / 2 : bodyMemory),
      isStopping: () => stopping
    }
    // layers are released in reverse order: responses are sent before the service and its handlers stop
    return Layer.scopedDiscard(stop).pipe(
      Layer.provideMerge(
        HttpMiddleware.withTracerDisabledWhen(HttpApiBuilder.serve(makeMiddleware(policy)), isUntraced)
      ),
      Layer.provide(TinkerServer.layerHandlers(options)),
      Layer.provideMerge(
        NodeHttpServer.layer(() => server, { host: options.host ?? "127.0.0.1", port: options.port ?? 0, backlog })
      )
    )
  })

/**
 * A server and its service. When the layer is released, the server finishes its work for the time of `drain`. Then pending
 * polls respond "try again", responses are sent, and the service stops. It refuses to listen on a public address unless `apiKeys` is set.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<
  HttpServer.HttpServer | TinkerService.TinkerService,
  ExposedWithoutKeys | InvalidOrigin | Store.StoreError | HttpServerError.ServeError,
  Engine.Engine | CheckpointStore.CheckpointStore | Store.Store
> =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      yield* validate(options)
      if (options.sharesStore !== true) yield* Store.claim
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
  ExposedWithoutKeys | InvalidOrigin | Store.StoreError | HttpServerError.ServeError,
  Engine.Engine | CheckpointStore.CheckpointStore | Store.Store
> =>
  Layer.launch(
    Layer.effectDiscard(Effect.flatMap(baseUrl, (url) => Effect.logInfo(`listening on ${url}`))).pipe(
      Layer.provide(layer(options))
    )
  )
