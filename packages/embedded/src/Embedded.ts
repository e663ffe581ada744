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
 * - **Browsers.** `layerBrowser` computes in a Web Worker, fetches models by their URLs, and keeps both models and
 *   checkpoints in the browser.
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
import * as WebWorkerEngine from "@effect-tinker/engine/WebWorkerEngine"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import type * as Engine from "@effect-tinker/server/Engine"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as Store from "@effect-tinker/server/Store"
import type { PlatformError } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as copies from "./internal/database/backup.ts"
import * as downloads from "./internal/downloads/models.ts"
import { requireSecureContext } from "./internal/downloads/secure.ts"
import * as pageLock from "./internal/files/pageLock.ts"
import { resolve } from "./internal/models/resolve.ts"

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

const layerService = <E, R>(
  engine: Layer.Layer<Engine.Engine, E, R>,
  checkpoints: string | undefined
): Layer.Layer<HttpClient.HttpClient, E | Store.StoreError, R | FileSystem.FileSystem | Path.Path> =>
  InProcessHttpClient.layer().pipe(
    Layer.provide([
      engine,
      checkpoints === undefined ? CheckpointStore.layerMemory : CheckpointStore.layerFileSystem(checkpoints)
    ]),
    Layer.provide(checkpoints === undefined ? Store.layerMemory : layerStore(checkpoints))
  )

const sessionWith = <E, R>(service: Layer.Layer<HttpClient.HttpClient, E, R>) =>
  ServiceClient.layer({ apiKey: Redacted.make("tml-embedded"), baseUrl: "http://embedded.invalid" }).pipe(
    Layer.provide(service)
  )

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
> => layerService(layerEngine({ localTokenizers: true, ...options }), checkpoints)

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
> => sessionWith(layer(options))

/**
 * A model that is fetched.
 *
 * @since 0.1.0
 * @category models
 */
export interface RemoteModel {
  /** the name that clients use */
  readonly name: string
  /**
   * The URL of a directory with Hugging Face's files and their list `SHA256SUMS`, as `sha256sum *` writes it. The directory
   * `models/nano` of `@effect-tinker/engine` is one.
   */
  readonly url: string
}

/**
 * How far the download of a model has come. It is told for each file, again and again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  readonly model: string
  readonly file: string
  /** bytes of this file */
  readonly received: number
  /** bytes of this file; `undefined` if the server does not say */
  readonly total: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface BrowserOptions extends Pick<
  JaxEngine.Options,
  "maxTokensPerRun" | "memoryBudget" | "localTokenizers" | "deterministic"
> {
  /** Makes a worker, whose file runs `BrowserWorker.run`. It is called again if the worker is lost. */
  readonly worker: () => Worker
  readonly models: ReadonlyArray<RemoteModel>
  /** The largest model to fetch, in bytes; by default 1 GiB. */
  readonly maxModelBytes?: number | undefined
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
  /** The directory of the browser's files in which checkpoints are stored. By default they are kept in memory. */
  readonly checkpoints?: string | undefined
}

const defaultModelBytes = 2 ** 30

const layerBrowserEngine = ({
  maxModelBytes = defaultModelBytes,
  models,
  onProgress = () => Effect.void,
  worker,
  ...options
}: Omit<BrowserOptions, "checkpoints">) =>
  Layer.unwrapEffect(
    requireSecureContext.pipe(
      Effect.andThen(Effect.forEach(models, (model) => downloads.fetchModel(model, { maxModelBytes, onProgress }))),
      Effect.provide(FetchHttpClient.layer),
      Effect.map((models) => WebWorkerEngine.layer({ localTokenizers: true, ...options, models, worker }))
    )
  )

/**
 * The service in a web page, which computes in a Web Worker: an `HttpClient` that sends every request to it.
 *
 * ```ts
 * import * as BrowserFileSystem from "@effect-tinker/embedded/BrowserFileSystem"
 * import * as Embedded from "@effect-tinker/embedded/Embedded"
 * import * as Layer from "effect/Layer"
 *
 * const ServiceLive = Embedded.layerBrowser({
 *   worker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }),
 *   models: [{ name: "effect-tinker/nano", url: "/models/nano" }],
 *   checkpoints: "/checkpoints"
 * }).pipe(Layer.provide(BrowserFileSystem.layer()))
 * ```
 *
 * The file of the worker is one of the application, which `BrowserWorker` shows.
 *
 * - **Models** are fetched when the layer is built, verified, and kept by their hash. Without a network, or if the server
 *   fails, the version that the browser has is used. A download that was interrupted goes on after its last whole file.
 * - **Checkpoints** outlive the page; sessions and training runs are in memory, and end with it. One page at a time has a
 *   directory of checkpoints: another one fails with a `StoreError`.
 * - **The end.** Worker, requests and files end with the layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerBrowser = ({
  checkpoints,
  ...options
}: BrowserOptions): Layer.Layer<
  HttpClient.HttpClient,
  ModelDirectory.ModelDirectoryError | Engine.EngineError | Store.StoreError,
  FileSystem.FileSystem | Path.Path
> => {
  const service = layerService(layerBrowserEngine(options), checkpoints)
  return checkpoints === undefined ? service : Layer.provide(service, Layer.scopedDiscard(pageLock.hold(checkpoints)))
}

/**
 * A session with the service in a web page.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerBrowserServiceClient = (
  options: BrowserOptions
): Layer.Layer<
  ServiceClient.ServiceClient,
  TinkerError.TinkerError | ModelDirectory.ModelDirectoryError | Engine.EngineError | Store.StoreError,
  FileSystem.FileSystem | Path.Path
> => sessionWith(layerBrowser(options))
