/**
 * A `JaxEngine` in a worker thread, so that heartbeats, polls and timers of the program are not delayed while it
 * computes. It needs `node:worker_threads`, which Node, Bun and Deno have; elsewhere use `JaxEngine`, which computes on
 * the calling thread.
 *
 * ```ts
 * import * as NodeWorkerEngine from "@effect-tinker/engine/NodeWorkerEngine"
 *
 * const EngineLive = NodeWorkerEngine.layer()
 * ```
 *
 * - Results are equal to those of `JaxEngine`, to the bit. Arguments are copied to the thread, results are transferred.
 * - An interrupted call returns when the thread has stopped working on it, which is after the current microbatch. A
 *   `forwardBackward` that had ended before the interruption arrived has added its gradient.
 * - The thread ends with the scope, after the current microbatch. An idle thread does not keep the process alive.
 * - If the thread crashes, for example because it runs out of memory, its calls fail with an `EngineError`, and so do
 *   later calls on its models and samplers: they are lost. New models and samplers are created in a new thread.
 *
 * @since 0.1.0
 */
import * as Engine from "@effect-tinker/server/Engine"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as nodeThread from "./internal/worker/nodeThread.ts"
import * as remoteEngine from "./internal/worker/remoteEngine.ts"
import * as thread from "./internal/worker/thread.ts"
import type * as JaxEngine from "./JaxEngine.ts"
import type * as ModelDirectory from "./ModelDirectory.ts"

/**
 * @since 0.1.0
 * @category models
 */
export type Options = JaxEngine.Options

/**
 * Starts an engine in a worker thread. The thread ends when the scope closes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Engine.Service, ModelDirectory.ModelDirectoryError | Engine.EngineError, Scope.Scope> =>
  remoteEngine.make(thread.start(nodeThread.spawn, options))

/**
 * Provides an engine in a worker thread.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<Engine.Engine, ModelDirectory.ModelDirectoryError | Engine.EngineError> =>
  Layer.scoped(Engine.Engine, make(options))
