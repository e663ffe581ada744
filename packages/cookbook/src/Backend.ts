/**
 * The service that a training program runs on, hosted or embedded, chosen by the environment.
 *
 * @since 0.1.0
 */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import type * as Engine from "@effect-tinker/server/Engine"
import type * as Store from "@effect-tinker/server/Store"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Path from "@effect/platform/Path"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as BaseModel from "./BaseModel.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** for display, such as `the hosted service` */
  readonly description: string
  /** the local directory of a checkpoint, by its `tinker://` path; none if the service stores it remotely */
  readonly directoryOf: (path: string) => Option.Option<string>
}

/**
 * The service that a program runs on.
 *
 * @since 0.1.0
 * @category tags
 */
export class Backend extends Context.Tag("@effect-tinker/cookbook/Backend")<Backend, Service>() {}

/**
 * A remote service, whose checkpoints are not in local directories.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRemote = (description: string): Layer.Layer<Backend> =>
  Layer.succeed(Backend, { description, directoryOf: () => Option.none() })

// the model that ships with the engine needs no settings if the service offers it
const layerBaseModel = Layer.unwrapEffect(
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const configured = yield* Effect.orElseSucceed(
      Config.option(Config.nonEmptyString("TINKER_BASE_MODEL")),
      Option.none
    )
    if (Option.isSome(configured))
      return configured.value === ModelDirectory.nanoName ? BaseModel.layerNano : BaseModel.layerConfig
    const { supported_models } = yield* service.getServerCapabilities
    const offered = supported_models.some(({ model_name }) => model_name === ModelDirectory.nanoName)
    return offered ? BaseModel.layerNano : BaseModel.layerConfig
  })
)

/**
 * The service at `TINKER_BASE_URL`, with the key `TINKER_API_KEY`. `TINKER_BASE_MODEL` and `TINKER_TOKENIZER` select the base
 * model. If the first is not set, and the service offers `effect-tinker/nano`, that is the base model.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerHosted: Layer.Layer<
  ServiceClient.ServiceClient | BaseModel.BaseModel | Backend,
  TinkerError.TinkerError | BaseModel.BaseModelError,
  HttpClient.HttpClient | FileSystem.FileSystem | Path.Path
> = Layer.merge(layerBaseModel, layerRemote("the hosted service")).pipe(Layer.provideMerge(ServiceClient.layerConfig()))

/**
 * The embedded service with `effect-tinker/nano`. Checkpoints are stored in a directory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerEmbedded = (options: {
  readonly checkpoints: string
}): Layer.Layer<
  ServiceClient.ServiceClient | BaseModel.BaseModel | Backend,
  | TinkerError.TinkerError
  | BaseModel.BaseModelError
  | ModelDirectory.ModelDirectoryError
  | Engine.EngineError
  | Store.StoreError,
  FileSystem.FileSystem | Path.Path
> =>
  Layer.mergeAll(
    Embedded.layerServiceClient(options),
    BaseModel.layerNano,
    Layer.effect(
      Backend,
      Effect.map(Path.Path, (path) => ({
        description: "the embedded service",
        directoryOf: (checkpoint) => CheckpointStore.directoryOf(path, options.checkpoints, checkpoint)
      }))
    )
  )

/**
 * The hosted service if `TINKER_API_KEY` is set, else the embedded one.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (options: {
  readonly checkpoints: string
}): Layer.Layer<
  ServiceClient.ServiceClient | BaseModel.BaseModel | Backend,
  | TinkerError.TinkerError
  | BaseModel.BaseModelError
  | ModelDirectory.ModelDirectoryError
  | Engine.EngineError
  | Store.StoreError
  | ConfigError.ConfigError,
  HttpClient.HttpClient | FileSystem.FileSystem | Path.Path
> =>
  Layer.unwrapEffect(
    Effect.map(Config.option(Config.nonEmptyString("TINKER_API_KEY")), (key) =>
      Option.isSome(key) ? layerHosted : layerEmbedded(options)
    )
  )
