/**
 * The service in this process, as one Layer: no port, no API key, no network. The `HttpClient` of `layer` sends every
 * request, whatever its host, to the service itself, which trains and samples with the engine of the platform.
 *
 * ```ts
 * import * as Embedded from "@effect-tinker/embedded/Embedded"
 * import * as NodeContext from "@effect/platform-node/NodeContext"
 * import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
 *
 * const ServiceLive = Embedded.layerServiceClient({ checkpoints: "./checkpoints" }).pipe(
 *   Layer.provide(NodeContext.layer)
 * )
 * ```
 *
 * - **Engine.** The `#engine` conditions in package.json choose it: on Node, Bun and Deno it computes on a worker thread,
 *   so that the timers and requests of the program stay prompt; elsewhere on the thread of the caller.
 * - **Models.** `models` are directories with Hugging Face's files, GGUF files, or names on the hub. The service
 *   names them as the tokenizers of its models, so that `getTokenizer` of a client loads them.
 * - **Checkpoints.** They are stored in the directory `checkpoints`, with the records of the service in a SQLite database,
 *   or in memory. Several processes may use one directory side by side.
 *
 * @since 0.1.0
 */
import * as platform from "#engine"
import * as platformStore from "#store"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import type * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import type * as Engine from "@effect-tinker/server/Engine"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as Store from "@effect-tinker/server/Store"
import type { PlatformError } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { resolve } from "./internal/models/resolve.ts"
import * as copies from "./internal/database/backup.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface EngineOptions extends Omit<JaxEngine.Options, "models"> {
  /**
   * Base models besides `effect-tinker/nano`. A text is the path of a directory or of a GGUF file, whose last part is the
   * name of the model; `ollama:NAME` for a model that Ollama has on this machine; or the name of a repository on the Hugging Face hub, such as `HuggingFaceTB/SmolLM2-135M-Instruct`:
   * its files are taken from the cache that is shared with Python, or downloaded, as `Hub.fromConfig` describes.
   */
  readonly models?: ReadonlyArray<JaxEngine.BaseModel | string> | undefined
  /**
   * The thread that computes. By default a worker thread on Node, Bun and Deno, and the thread of the caller elsewhere,
   * where `worker` fails with an `EngineError`.
   */
  readonly thread?: "worker" | "caller" | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends EngineOptions {
  /** The directory in which checkpoints are stored. By default they are kept in memory, until the layer is released. */
  readonly checkpoints?: string | undefined
}

/**
 * The engine of the platform.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerEngine = ({ models = [], thread, ...options }: EngineOptions = {}): Layer.Layer<
  Engine.Engine,
  ModelDirectory.ModelDirectoryError | Engine.EngineError,
  FileSystem.FileSystem | Path.Path
> => Layer.unwrapEffect(Effect.map(resolve(models), (models) => platform.layer({ ...options, models }, thread)))

/**
 * The store of the service's records, for checkpoints in this directory: the SQLite database `tinker.db` in it, which
 * several processes may share. In memory in browsers, and with a warning where SQLite's binary is not installed.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerStore = (
  directory: string
): Layer.Layer<Store.Store, Store.StoreError, FileSystem.FileSystem | Path.Path> => platformStore.layer(directory)

/**
 * Copies the store in a directory to a new one: its records and the files of its checkpoints. Services may use it
 * meanwhile. What they acknowledged before is in the copy, unless it was removed since. Sessions that are active in the copy
 * go on in a service that uses it, and models in training are lost there as with the end of a process.
 *
 * @since 0.1.0
 * @category backups
 */
export const backup = (
  from: string,
  to: string
): Effect.Effect<
  CheckpointStore.Copied,
  Store.StoreError | CheckpointStore.CheckpointStoreError | PlatformError,
  FileSystem.FileSystem | Path.Path
> => copies.copy(from, to)

/**
 * An `HttpClient` that sends every request to the embedded service.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = ({ checkpoints, ...options }: Options = {}): Layer.Layer<
  HttpClient.HttpClient,
  ModelDirectory.ModelDirectoryError | Engine.EngineError | Store.StoreError,
  FileSystem.FileSystem | Path.Path
> =>
  InProcessHttpClient.layer().pipe(
    Layer.provide([
      layerEngine({ localTokenizers: true, ...options }),
      checkpoints === undefined ? CheckpointStore.layerMemory : CheckpointStore.layerFileSystem(checkpoints)
    ]),
    Layer.provide(checkpoints === undefined ? Store.layerMemory : layerStore(checkpoints))
  )

/**
 * A session with the embedded service.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServiceClient = (
  options: Options = {}
): Layer.Layer<
  ServiceClient.ServiceClient,
  TinkerError.TinkerError | ModelDirectory.ModelDirectoryError | Engine.EngineError | Store.StoreError,
  FileSystem.FileSystem | Path.Path
> =>
  ServiceClient.layer({ apiKey: Redacted.make("tml-embedded"), baseUrl: "http://embedded.invalid" }).pipe(
    Layer.provide(layer(options))
  )
