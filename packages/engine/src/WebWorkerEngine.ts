/**
 * A `JaxEngine` in a Web Worker of a browser, so that the page stays prompt while it computes. The page has `make` or
 * `layer`; the worker has `EngineWorker.serve`, in a file of the application's own, which every bundler then finds:
 *
 * ```ts
 * import * as WebWorkerEngine from "@effect-tinker/engine/WebWorkerEngine"
 *
 * const EngineLive = WebWorkerEngine.layer({
 *   worker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }),
 *   models: [{ name: "my-model", directory: "/models/my-model" }]
 * })
 * ```
 *
 * The worker reads the directories of models by the `FileSystem` that `EngineWorker.serve` gets. `Embedded.layerBrowser` of
 * `@effect-tinker/embedded` has all of this, and fetches models by their URLs.
 *
 * - The messages are those of `NodeWorkerEngine`, and so are results, interruption and the end of the worker.
 * - If the worker fails, its models and samplers are lost, and calls on them fail with an `EngineError`. New ones are
 *   created in a new worker.
 *
 * @since 0.1.0
 */
import * as Engine from "@effect-tinker/server/Engine"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as remoteEngine from "./internal/worker/remoteEngine.ts"
import * as thread from "./internal/worker/thread.ts"
import * as webThread from "./internal/worker/webThread.ts"
import type * as JaxEngine from "./JaxEngine.ts"
import type * as ModelDirectory from "./ModelDirectory.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends JaxEngine.Options {
  /** Makes a worker whose file runs `EngineWorker.serve`. It is called again if the worker is lost. */
  readonly worker: () => Worker
}

/**
 * Starts an engine in a Web Worker, which ends when the scope closes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({
  worker,
  ...options
}: Options): Effect.Effect<Engine.Service, ModelDirectory.ModelDirectoryError | Engine.EngineError, Scope.Scope> =>
  remoteEngine.make(thread.start(webThread.spawn(worker), options))

/**
 * Provides an engine in a Web Worker.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<Engine.Engine, ModelDirectory.ModelDirectoryError | Engine.EngineError> =>
  Layer.scoped(Engine.Engine, make(options))
