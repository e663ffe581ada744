/** A service over a test engine, behind a socket. */
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** A server with these options, over a test engine and a store in memory. */
export const serverLayer = (options: NodeServer.Options = {}) =>
  NodeServer.layer(options).pipe(Layer.provide([TestEngine.layer(), CheckpointStore.layerMemory, Store.layerMemory]))

/** Starts a server, and returns its port. It stops when the scope closes. */
export const listen = (options: NodeServer.Options = {}) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(serverLayer(options))
    return Number(new URL(yield* Effect.provide(NodeServer.baseUrl, context)).port)
  })
