/**
 * The service within the program: no port, no key, no network. What is sent to this `HttpClient`, whatever the host, is
 * answered by the service itself over the engine that really trains, which on Node has a thread of its own.
 *
 * @since 0.1.0
 */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import type * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import type * as Engine from "@effect-tinker/server/Engine"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends JaxEngine.Options {
  /** where checkpoints are kept; in memory, and gone with the program, unless given */
  readonly checkpoints?: string | undefined
  /**
   * Where the engine computes: in a thread of its `own`, so that the program's timers and requests stay prompt, or on
   * the thread of its `caller`. By default `own` on Node and what is like it, and `caller` elsewhere.
   */
  readonly thread?: "own" | "caller" | undefined
}

// as Node, Bun and Deno have it; bundlers for browsers replace or lack it
const hasThreads =
  (globalThis as { readonly process?: { readonly versions?: { readonly node?: string } } }).process?.versions?.node !==
  undefined

/**
 * The engine that really trains, where the options say.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerEngine = (
  options: Options = {}
): Layer.Layer<
  Engine.Engine,
  ModelDirectory.ModelDirectoryError | Engine.EngineError,
  FileSystem.FileSystem | Path.Path
> => {
  const { checkpoints: _, thread = hasThreads ? "own" : "caller", ...settings } = options
  // loads one of the two, as each is of no use beside the other
  return Layer.unwrapEffect(
    Effect.map(
      Effect.promise(() =>
        thread === "own"
          ? import("@effect-tinker/engine/NodeWorkerEngine").then(({ layer }) => layer)
          : import("@effect-tinker/engine/JaxEngine").then(({ layer }) => layer)
      ),
      (layer) => layer(settings)
    )
  )
}

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<
  HttpClient.HttpClient,
  ModelDirectory.ModelDirectoryError | Engine.EngineError,
  FileSystem.FileSystem | Path.Path
> =>
  InProcessHttpClient.layer().pipe(
    Layer.provide([
      layerEngine(options),
      options.checkpoints === undefined
        ? CheckpointStore.layerMemory
        : CheckpointStore.layerFileSystem(options.checkpoints)
    ])
  )

/**
 * The client of an embedded service.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServiceClient = (
  options: Options = {}
): Layer.Layer<
  ServiceClient.ServiceClient,
  TinkerError.TinkerError | ModelDirectory.ModelDirectoryError | Engine.EngineError,
  FileSystem.FileSystem | Path.Path
> =>
  ServiceClient.layer({ apiKey: Redacted.make("tml-embedded"), baseUrl: "http://embedded.invalid" }).pipe(
    Layer.provide(layer(options))
  )

/**
 * The directory in which a store of files keeps a checkpoint.
 *
 * @since 0.1.0
 * @category conversions
 */
export const directoryOf = (path: Path.Path, checkpoints: string, checkpoint: string): Option.Option<string> =>
  Option.map(TinkerPath.parse(checkpoint), ({ kind, name, training_run_id }) =>
    path.join(checkpoints, training_run_id.replaceAll(":", "%3A"), kind, name)
  )
