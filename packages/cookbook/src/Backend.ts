/**
 * Everything below a training program, chosen by the environment: the hosted service, or the embedded one.
 *
 * @since 0.1.0
 */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import type * as Engine from "@effect-tinker/server/Engine"
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
  /** for people to read */
  readonly description: string
  /** the directory of a checkpoint, by the path that the service gave it; none when it lies with the service */
  readonly directoryOf: (path: string) => Option.Option<string>
}

/**
 * What a program talks to.
 *
 * @since 0.1.0
 * @category tags
 */
export class Backend extends Context.Tag("@effect-tinker/cookbook/Backend")<Backend, Service>() {}

/**
 * A service that keeps its checkpoints to itself.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRemote = (description: string): Layer.Layer<Backend> =>
  Layer.succeed(Backend, { description, directoryOf: () => Option.none() })

// a service that offers the shipped model needs no settings for it
const layerOffered = Layer.unwrapEffect(
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const wanted = yield* Effect.orElseSucceed(Config.option(Config.nonEmptyString("TINKER_BASE_MODEL")), Option.none)
    if (Option.isSome(wanted))
      return wanted.value === ModelDirectory.nanoName ? BaseModel.layerNano : BaseModel.layerConfig
    const { supported_models } = yield* service.getServerCapabilities
    const offered = supported_models.some(({ model_name }) => model_name === ModelDirectory.nanoName)
    return offered ? BaseModel.layerNano : BaseModel.layerConfig
  })
)

/**
 * The hosted service, as `TINKER_API_KEY` and `TINKER_BASE_URL` say. `TINKER_BASE_MODEL` and `TINKER_TOKENIZER` give the
 * base model, unless the service offers the one that ships with the engine.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerHosted: Layer.Layer<
  ServiceClient.ServiceClient | BaseModel.BaseModel | Backend,
  TinkerError.TinkerError | BaseModel.BaseModelError,
  HttpClient.HttpClient | FileSystem.FileSystem | Path.Path
> = Layer.merge(layerOffered, layerRemote("the hosted service")).pipe(Layer.provideMerge(ServiceClient.layerConfig()))

/**
 * The embedded service with the model that ships with the engine. Checkpoints are kept in a directory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerEmbedded = (options: {
  readonly checkpoints: string
}): Layer.Layer<
  ServiceClient.ServiceClient | BaseModel.BaseModel | Backend,
  TinkerError.TinkerError | BaseModel.BaseModelError | ModelDirectory.ModelDirectoryError | Engine.EngineError,
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
 * The hosted service where `TINKER_API_KEY` is set, the embedded one otherwise.
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
  | ConfigError.ConfigError,
  HttpClient.HttpClient | FileSystem.FileSystem | Path.Path
> =>
  Layer.unwrapEffect(
    Effect.map(Config.option(Config.nonEmptyString("TINKER_API_KEY")), (key) =>
      Option.isSome(key) ? layerHosted : layerEmbedded(options)
    )
  )
