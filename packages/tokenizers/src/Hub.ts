/**
 * The Hugging Face hub: tokenizers of model repositories, and files of data sets. They are kept in the same cache on disk that the Python libraries
 * use, so that each benefits from the downloads of the other.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Path from "@effect/platform/Path"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as environment from "./internal/hub/environment.ts"
import { type DatasetFiles, datasetFiles } from "./internal/datasets/datasetFiles.ts"
import { type HubError, makeTarget, type Options, type Ref, type Snapshot } from "./internal/hub/model.ts"
import { modelFiles } from "./internal/weights/modelFiles.ts"
import { withoutTracing } from "./internal/hub/request.ts"
import { tokenizerFiles } from "./internal/hub/tokenizerFiles.ts"
import * as deduplicate from "./internal/util/deduplicate.ts"

export type { DatasetFiles } from "./internal/datasets/datasetFiles.ts"
export { HubError, type Options, type Ref, type Snapshot } from "./internal/hub/model.ts"

/**
 * The operations of the hub.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * The tokenizer files of a repository, downloaded if the cache does not contain them. If the hub does not respond within
   * 5 seconds or rejects the request, the cached files of the revision are used, with a warning. A commit whose files the
   * cache contains needs no request. Concurrent callers share one download.
   */
  readonly tokenizerFiles: (ref: Ref) => Effect.Effect<Snapshot, HubError>
  /**
   * Files of a data set, chosen by their paths in the repository, downloaded if the cache does not contain them. If the hub
   * does not respond, they are chosen among the cached files of the revision, with a warning.
   */
  readonly datasetFiles: (
    ref: Ref,
    choose: (paths: ReadonlyArray<string>) => ReadonlyArray<string>
  ) => Effect.Effect<DatasetFiles, HubError>
  /**
   * The tokenizer files, and `config.json`, `generation_config.json` and the weights: `model.safetensors`, or the shards of
   * its index. What the cache contains is not downloaded again. Fails with `NotFound` if a repository has no such weights.
   */
  readonly modelFiles: (ref: Ref) => Effect.Effect<Snapshot, HubError>
}

/**
 * The Hugging Face hub.
 *
 * @since 0.1.0
 * @category tags
 */
export class Hub extends Context.Tag("@effect-tinker/tokenizers/Hub")<Hub, Service>() {}

/**
 * A hub with the given options.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fn("Hub.make")(function* (options: Options) {
  const context = {
    fs: yield* FileSystem.FileSystem,
    path: yield* Path.Path,
    http: withoutTracing(yield* HttpClient.HttpClient)
  }
  const once = deduplicate.make<string, Snapshot, HubError>(yield* Effect.scope)
  const service: Service = {
    tokenizerFiles: (ref) => {
      const target = makeTarget(ref, options)
      return once(`${target.repo}@${target.revision}`, tokenizerFiles(context, target))
    },
    datasetFiles: (ref, choose) => datasetFiles(context, makeTarget(ref, options, "dataset"), choose),
    modelFiles: (ref) => {
      const target = makeTarget(ref, options)
      return once(`model ${target.repo}@${target.revision}`, modelFiles(context, target))
    }
  }
  return service
})

/**
 * A hub with the given options.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<Hub, never, FileSystem.FileSystem | Path.Path | HttpClient.HttpClient> =>
  Layer.scoped(Hub, make(options))

/**
 * The options in the environment, by the names that the tools of Hugging Face use: the cache is `HF_HUB_CACHE` or
 * `HUGGINGFACE_HUB_CACHE`, else a directory of `HF_HOME` (`~/.cache/huggingface` by default); the token is `HF_TOKEN`, or
 * the one that `hf auth login` saved to `HF_TOKEN_PATH`; `HF_ENDPOINT`; `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE`. The
 * given options take precedence. An endpoint or a token that is malformed fails when it is used, with reason `Invalid`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromConfig = Effect.fn("Hub.fromConfig")((options: Partial<Options> = {}) =>
  environment.readOptions(options)
)

/**
 * A hub with the options of the environment.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options?: Partial<Options>
): Layer.Layer<Hub, ConfigError.ConfigError, FileSystem.FileSystem | Path.Path | HttpClient.HttpClient> =>
  Layer.scoped(Hub, Effect.flatMap(fromConfig(options), make))
