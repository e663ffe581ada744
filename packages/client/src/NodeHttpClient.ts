/// <reference types="node" />
/**
 * The `HttpClient` for Node, over undici's `dispatch`. Use it where many requests are in flight at once: the clients of
 * this package then send their requests by undici's callbacks, without a fiber for each.
 *
 * - Small responses are buffered before they are returned. Large ones, and those of unknown length, are returned once
 *   their head has arrived; their body is then read at once, or as a stream with back-pressure.
 * - The dispatcher keeps the timeouts of `TinkerClient`'s policies.
 * - Interruption aborts the request, also while its body is read.
 * - Redirects of GET and HEAD are followed, unless `FetchHttpClient.RequestInit` has `redirect: "manual"`. Credentials are
 *   not sent to another origin.
 * - Compressed responses are decompressed.
 *
 * - The proxies of the environment are used, as curl uses them: `HTTPS_PROXY` by CONNECT, and `HTTP_PROXY` by absolute
 *   URLs, for all hosts but those of `NO_PROXY`, and never for this computer. The names may be in lower case. A proxy that
 *   fails is the `ProxyError` in the cause of a `RequestError`, and a `TransportError` with reason `Proxy` in this package.
 *
 * To add headers or a base path, or to log requests, set `transformRequest`; for your own certificates, give a dispatcher
 * to `fromDispatcher`. A client that is wrapped in the ordinary way (`HttpClient.mapRequest` and the like) is correct as
 * well: each request runs through the wrapper. That takes a fiber for each request, about 1.8 times the CPU for a sample.
 *
 * ```ts
 * const HttpLive = NodeHttpClient.layerWith({
 *   transformRequest: (request) => ({ ...request, headers: { ...request.headers, "x-team": "blue" } })
 * })
 * ```
 *
 * This module needs Node and the package `undici`. The package's index does not export it: import
 * `@effect-tinker/client/NodeHttpClient`.
 *
 * @since 0.1.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Undici from "undici"
import * as proxySettings from "./internal/network/proxySettings.ts"
import { failureOf } from "./internal/network/failure.ts"
import { register } from "./internal/transport/exchangeOf.ts"
import * as undiciExchange from "./internal/transport/undici/exchange.ts"
import { makeClient } from "./internal/transport/undici/httpClient.ts"
import { ProxyDispatcher } from "./internal/transport/undici/proxyDispatcher.ts"
import type { TransformRequest } from "./internal/transport/undici/transformRequest.ts"
import type { DurationInput } from "./internal/util/duration.ts"

export { ProxyError } from "./internal/network/proxyError.ts"
export type { RequestParts, TransformRequest } from "./internal/transport/undici/transformRequest.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface RequestOptions {
  /** until a response's head, and between two parts of its body, where a request has no other timeout; 5 min */
  readonly timeout?: DurationInput | undefined
  /**
   * Changes each request before it is sent: headers, URL, body. It does not run for a redirect to another origin, which
   * does not get the headers that it adds.
   */
  readonly transformRequest?: TransformRequest | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ConnectionOptions {
  /** sockets to one origin; unlimited by default, since each poll holds one */
  readonly connections?: number | undefined
  /** how long connecting may take; 10 s */
  readonly connectTimeout?: DurationInput | undefined
  /** how long an idle connection is kept, unless the server sets a time; 4 s, which is shorter than servers keep it */
  readonly keepAlive?: DurationInput | undefined
  /** whether to use the proxies that `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name; true by default */
  readonly environmentProxies?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends RequestOptions, ConnectionOptions {}

/**
 * A client over any dispatcher of undici, such as a `ProxyAgent`, an `Agent` with custom certificates, or a mock. The
 * caller closes the dispatcher.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromDispatcher = (dispatcher: Undici.Dispatcher, options: RequestOptions = {}): HttpClient.HttpClient => {
  const { transformRequest } = options
  const timeoutMillis = Duration.toMillis(options.timeout ?? "5 minutes")
  return register(
    makeClient(dispatcher, { timeoutMillis, transformRequest }),
    undiciExchange.make(dispatcher, transformRequest)
  )
}

/**
 * A dispatcher with the connections and proxies of `make`, for undici's own functions such as its `fetch`. It closes with
 * the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeDispatcher = (options: ConnectionOptions = {}): Effect.Effect<Undici.Dispatcher, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.map(
      options.environmentProxies === false ? Effect.succeed(undefined) : proxySettings.fromConfig,
      (proxies) => {
        const agentOptions = {
          connections: options.connections ?? null,
          pipelining: 1,
          keepAliveTimeout: Duration.toMillis(options.keepAlive ?? "4 seconds"),
          connect: { timeout: Duration.toMillis(options.connectTimeout ?? "10 seconds") }
        }
        return proxies === undefined ? new Undici.Agent(agentOptions) : new ProxyDispatcher(proxies, agentOptions)
      }
    ),
    (dispatcher) => Effect.promise(() => dispatcher.destroy())
  )

/**
 * A client with its own connections, which close with the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<HttpClient.HttpClient, never, Scope.Scope> =>
  Effect.map(makeDispatcher(options), (dispatcher) => fromDispatcher(dispatcher, options))

/**
 * Why there was no connection and what to do about it, from the error of a request or of undici's `fetch`: the proxy, the
 * certificate, the name of the host; `undefined` if the error does not say.
 *
 * @since 0.1.0
 * @category errors
 */
export const explainFailure = (error: unknown): string | undefined => failureOf(error).detail

/**
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.scoped(HttpClient.HttpClient, make())

/**
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (options: Options): Layer.Layer<HttpClient.HttpClient> =>
  Layer.scoped(HttpClient.HttpClient, make(options))
