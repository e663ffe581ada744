/**
 * What the file of a Web Worker runs, so that `WebWorkerEngine` in the page computes there.
 *
 * @since 0.1.0
 */
import type * as Engine from "@effect-tinker/server/Engine"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as serving from "./internal/worker/serve.ts"
import * as webPort from "./internal/worker/webPort.ts"

/**
 * Serves the page that made this worker, until the page closes its engine. `platform` has the files of the models. Run it
 * when the worker's file is evaluated, before anything asynchronous: messages that come earlier are lost.
 *
 * @since 0.1.0
 * @category running
 */
export const serve = (
  platform: Layer.Layer<FileSystem.FileSystem | Path.Path, Engine.EngineError>
): Effect.Effect<void> => serving.serve(webPort.port, platform)
