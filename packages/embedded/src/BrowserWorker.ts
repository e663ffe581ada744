/**
 * What the file of the worker runs that `Embedded.layerBrowser` makes. It is a file of the application's own, since every
 * bundler finds it there; all of it is:
 *
 * ```ts
 * import * as BrowserWorker from "@effect-tinker/embedded/BrowserWorker"
 *
 * BrowserWorker.run()
 * ```
 *
 * @since 0.1.0
 */
import * as EngineWorker from "@effect-tinker/engine/EngineWorker"
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BrowserFileSystem from "./BrowserFileSystem.ts"

/**
 * Computes for the page, until it releases its layer. `files` is the name of the page's `BrowserFileSystem`.
 *
 * @since 0.1.0
 * @category running
 */
export const run = (files?: string): void => {
  const platform = Layer.mapError(
    BrowserFileSystem.layer(files),
    (cause) =>
      new Engine.EngineError({
        reason: `the worker cannot open the page's files: ${cause.message}`,
        category: "server",
        cause
      })
  )
  Effect.runFork(EngineWorker.serve(platform))
}
