/**
 * The real service over a `TestEngine`, behind an `HttpClient` that runs it in the fiber of the caller: it needs no socket
 * and no model files, and `TestClock` drives both sides.
 *
 * ```ts
 * const server = yield* TestServer.make({ longPoll: "5 seconds" })
 * yield* program.pipe(Effect.provide(server.layer))
 * const operations = yield* server.engine.operations
 * ```
 *
 * @since 0.1.0
 */
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as Store from "@effect-tinker/server/Store"
import * as TinkerServer from "@effect-tinker/server/TinkerServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestEngine from "./TestEngine.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends TinkerServer.Options {
  readonly engine?: TestEngine.Options | undefined
  /** where checkpoints are stored; in memory by default */
  readonly checkpoints?: Layer.Layer<CheckpointStore.CheckpointStore, never, Store.Store> | undefined
  /** where the records of the service are; in memory by default */
  readonly store?: Layer.Layer<Store.Store> | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface TestServer {
  readonly client: HttpClient.HttpClient
  readonly layer: Layer.Layer<HttpClient.HttpClient>
  readonly engine: TestEngine.TestEngine
}

/**
 * A service that runs as long as the scope is open.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<TestServer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* TestEngine.make(options.engine)
    const client = yield* InProcessHttpClient.make(
      TinkerServer.layer(options).pipe(
        Layer.provide([engine.layer, options.checkpoints ?? CheckpointStore.layerMemory]),
        Layer.provide(options.store ?? Store.layerMemory)
      )
    )
    return { client, layer: Layer.succeed(HttpClient.HttpClient, client), engine }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<HttpClient.HttpClient> =>
  Layer.scoped(
    HttpClient.HttpClient,
    Effect.map(make(options), ({ client }) => client)
  )
